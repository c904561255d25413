package speaker

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/lvs-ha/lvs-ha/internal/host"
	"github.com/lvs-ha/lvs-ha/internal/lab"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// patience is the timeout for events that must happen soon.
const patience = 15 * time.Second

// lan is two routers and an observer on a bridge.
type lan struct {
	lab      *lab.Lab
	bridge   *lab.Bridge
	a, b     *lab.Node
	observer *lab.Node
	capture  *capture
}

func newLAN(t testing.TB) *lan {
	t.Helper()
	lab.Need(t, lab.Host)
	return buildLAN(t)
}

func buildLAN(t testing.TB) *lan {
	t.Helper()
	l := lab.NewT(t, "spk")
	n := &lan{lab: l}
	var err error
	if n.bridge, err = l.Bridge("br0"); err != nil {
		t.Fatal(err)
	}
	n.a = n.host(t, "a", "10.9.0.1/24", "fd09::1/64")
	n.b = n.host(t, "b", "10.9.0.2/24", "fd09::2/64")
	n.observer = n.host(t, "o", "10.9.0.9/24", "fd09::9/64")
	n.capture = startCapture(t, n.observer, "eth0")
	return n
}

func (n *lan) host(t testing.TB, name string, addresses ...string) *lab.Node {
	t.Helper()
	h, err := n.lab.Host(name, lab.NIC{Name: "eth0", Bridge: n.bridge, Addresses: lab.Prefixes(addresses...)})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// attempts runs a story until it succeeds, at most three times. If the hypervisor takes the CPU away for longer than a few
// adverts at 10 ms, a failover is correct, but not part of the story.
func attempts(t *testing.T, story func(n *lan) error) {
	t.Helper()
	for i := 1; ; i++ {
		n := newLAN(t)
		err := story(n)
		if err == nil {
			return
		}
		if i == 3 {
			t.Fatalf("attempt %d: %v", i, err)
		}
		t.Logf("attempt %d: %v", i, err)
		if err := n.lab.Close(); err != nil {
			t.Logf("%v", err)
		}
	}
}

// output holds a child's log.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// station is a speaker process in a host, with the director's end of its connection.
type station struct {
	t        testing.TB
	host     *lab.Node
	wrapper  []string
	listener *os.File
	tenures  *os.File
	path     string
	client   *Client
	pause    func()
	cmd      *lab.Cmd
	log      output

	mu       sync.Mutex
	statuses map[string]vrrp.Status
	seen     []vrrp.State // of all instances, in order
	recorded []vrrp.Transition
	changed  chan struct{}
}

func newStation(t testing.TB, host *lab.Node) *station {
	t.Helper()
	return newStationBy(t, host)
}

// newStationBy starts the speaker through a wrapper command.
func newStationBy(t testing.TB, host *lab.Node, wrapper ...string) *station {
	t.Helper()
	s := &station{t: t, host: host, wrapper: wrapper, statuses: map[string]vrrp.Status{}, changed: make(chan struct{}, 1)}
	dir, err := os.MkdirTemp("", "speaker")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s.path = filepath.Join(dir, "s")
	l, err := net.Listen("unix", s.path)
	if err != nil {
		t.Fatal(err)
	}
	if s.listener, err = l.(*net.UnixListener).File(); err != nil {
		t.Fatal(err)
	}
	if s.tenures, err = NewTenures(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.listener.Close(); l.Close(); s.tenures.Close() })
	s.client = NewClient(ClientOptions{Path: s.path, Statuses: s.hear, Transitions: s.record, Connected: func(bool) {}, Logger: slog.New(slog.DiscardHandler)})
	s.start("fresh")
	s.resumeDirector()
	t.Cleanup(func() {
		s.pauseDirector()
		s.kill()
		if t.Failed() {
			t.Logf("log of the speaker on %s:\n%s", host.Name(), s.log.String())
		}
	})
	return s
}

// pauseDirector disconnects the director; resumeDirector reconnects it.
func (s *station) pauseDirector() {
	if s.pause != nil {
		s.pause()
		s.pause = nil
	}
}

func (s *station) resumeDirector() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); s.client.Run(ctx) }()
	s.pause = func() { cancel(); <-done }
}

func (s *station) start(how string) {
	s.t.Helper()
	argv := append(slices.Clone(s.wrapper), os.Args[0])
	s.cmd = s.host.Command(context.Background(), argv[0], argv[1:]...)
	// Otherwise the race detector sleeps for a second at exit.
	s.cmd.Env = append(os.Environ(), childEnv+"="+how, "GORACE=atexit_sleep_ms=0")
	s.cmd.ExtraFiles = []*os.File{s.listener, s.tenures}
	s.cmd.Stderr = &s.log
	// In its own session, as when started by the parent.
	s.cmd.SysProcAttr.Setpgid, s.cmd.SysProcAttr.Setsid = false, true
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
}

// kill ends the process without giving it a chance to resign.
func (s *station) kill() {
	if s.cmd.ProcessState == nil {
		_ = s.cmd.Kill()
		_ = s.cmd.Wait()
	}
}

// stop ends the process gracefully and returns how long it took.
func (s *station) stop() time.Duration {
	s.t.Helper()
	began := time.Now()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Fatal(err)
	}
	if err := s.cmd.Wait(); err != nil {
		s.t.Errorf("speaker on %s: %v", s.host.Name(), err)
	}
	return time.Since(began)
}

func (s *station) hear(statuses []vrrp.Status) {
	s.mu.Lock()
	for _, st := range statuses {
		if s.statuses[st.Name].State != st.State {
			s.seen = append(s.seen, st.State)
		}
		s.statuses[st.Name] = st
	}
	s.mu.Unlock()
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

func (s *station) status(name string) vrrp.Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.statuses[name]
}

func (s *station) record(list []vrrp.Transition) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.recorded = append(s.recorded, list...)
}

// transitions returns the states received so far.
func (s *station) transitions() []vrrp.State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen)
}

// await waits until the instance's status matches.
func (s *station) await(name, what string, ok func(vrrp.Status) bool) vrrp.Status {
	s.t.Helper()
	deadline := time.After(patience)
	for {
		if st := s.status(name); ok(st) {
			return st
		}
		select {
		case <-s.changed:
		case <-deadline:
			s.t.Fatalf("%s on %s is not %s after %s: %+v", name, s.host.Name(), what, patience, s.status(name))
		}
	}
}

func (s *station) awaitState(name string, state vrrp.State) vrrp.Status {
	s.t.Helper()
	return s.await(name, string(state), func(st vrrp.Status) bool { return st.State == state })
}

// report requests reports from the speaker until one matches.
func (s *station) report(name, what string, ok func(vrrp.Status) bool) vrrp.Status {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	pace := time.NewTicker(2 * time.Millisecond)
	defer pace.Stop()
	for {
		if err := s.client.Report(ctx, true); err != nil {
			s.t.Fatalf("%s on %s: not %s: %v; last report %+v", name, s.host.Name(), what, err, s.status(name))
		}
		if st := s.status(name); ok(st) {
			return st
		}
		<-pace.C
	}
}

func (s *station) want(instances ...vrrp.Instance) { s.wantWith(0, instances...) }

func (s *station) wantWith(grace time.Duration, instances ...vrrp.Instance) {
	w := vrrp.Wanted{DirectorGrace: grace}
	for _, in := range instances {
		w.Instances = append(w.Instances, vrrp.WantedInstance{Instance: in})
	}
	s.client.Set(w)
}

// instance returns a virtual router with the address that the lan's tests use.
func instance(version uint8, f vrrp.Family, priority uint8, interval time.Duration) vrrp.Instance {
	vip := "10.9.0.100/24"
	if f == vrrp.IPv6 {
		vip = "fd09::100/64"
	}
	return vrrp.Instance{
		Name: "v", Interface: "eth0", VirtualRouterID: 51, Version: version, Family: f, Priority: priority,
		AdvertiseInterval: interval, Preempt: true,
		Addresses: []vrrp.Address{{Prefix: netip.MustParsePrefix(vip)}},
		Announce:  vrrp.Announce{Count: 2, RepeatAfter: 5 * time.Second},
	}
}

// has reports whether the address is on the host's interface.
func has(t testing.TB, h *lab.Node, iface, prefix string) bool {
	t.Helper()
	return slices.Contains(prefixes(t, h, iface), netip.MustParsePrefix(prefix))
}

// otherLister lists addresses as the netlink package parses them.
type otherLister struct{ *netlink.Handle }

func (l otherLister) Addresses(found func(index int, p netip.Prefix, flags int)) error {
	list, err := l.AddrList(nil, netlink.FAMILY_ALL)
	for _, a := range list {
		if p, ok := host.Prefix(a.IPNet); ok {
			found(a.LinkIndex, p, a.Flags)
		}
	}
	return err
}

func prefixes(t testing.TB, h *lab.Node, iface string) []netip.Prefix {
	t.Helper()
	table, err := listInterfaces(otherLister{h.Netlink()})
	if err != nil {
		t.Fatal(err)
	}
	var out []netip.Prefix
	for _, a := range table.byName()[iface].Addresses {
		out = append(out, a.Prefix)
	}
	return out
}

// eventually calls ok after each of the host's address changes until it returns true.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not after %s: %s", patience, what)
		}
		<-tick.C
	}
}

func ip(t testing.TB, h *lab.Node, args ...string) {
	t.Helper()
	out, err := h.Command(context.Background(), "ip", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

func label(version uint8, f vrrp.Family, interval time.Duration) string {
	return fmt.Sprintf("v%d %s %s", version, f, interval)
}
