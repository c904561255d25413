package e2e

import (
	"context"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/e2e/scene"
	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/lab"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// The slow downloads of the stories: each would last a minute, so that it stands at both ends of a failover. At the end of a
// story the servers send the rest at once.
const (
	downloads    = 20
	downloadRate = 10_000
	downloadSize = 60 * downloadRate
	probeEvery   = 10 * time.Millisecond
)

// The time for which clients are observed after a failure: for several failovers by the timers of VRRP, or for one by the
// loss of the director, whose grace time is five seconds.
const (
	aftermath      = 3 * time.Second
	afterDirectors = 6 * time.Second
)

// takeoverGoal is for adverts of 100 ms, where the RFC's timer is 361 ms at priority 100. The longest stall of the
// machine within the takeover is added to it.
const takeoverGoal = 500 * time.Millisecond

// handOverLoss is the number of probes that two hand-overs may lose: the connections being opened at that moment, since
// the kernel synchronizes a connection at its third packet (net.ipv4.vs.sync_threshold). A duration would be less
// precise on a machine with stalls: removing addresses too early costs six probes.
const handOverLoss = 2

// story is a running scene in a test, with the first director active.
type story struct {
	*scene.Scene
	t *testing.T
}

// begin runs an example as it is.
func begin(t *testing.T, layout scene.Layout) *story {
	t.Helper()
	return beginWith(t, layout, exampleOf(t, layout))
}

func exampleOf(t *testing.T, layout scene.Layout) []byte {
	t.Helper()
	text, err := os.ReadFile("../examples/" + string(layout) + ".hcl")
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// beginFast runs an example with adverts of 100 ms and a shorter learn_time than by default. By then the kernel has
// synchronized each download several times.
func beginFast(t *testing.T, layout scene.Layout) *story {
	t.Helper()
	block := regexp.MustCompile(`connection_sync \{ (.*) \}`)
	text := exampleOf(t, layout)
	if !block.Match(text) {
		t.Fatal("the example has no connection_sync block of one line")
	}
	text = block.ReplaceAll(text, []byte("connection_sync {\n $1\n learn_time = \"3s\"\n}"))
	return beginWith(t, layout, text, "--var", "advertise_interval=100ms")
}

func beginWith(t *testing.T, layout scene.Layout, text []byte, args ...string) *story {
	t.Helper()
	binary, err := lab.Binary()
	if err != nil {
		t.Fatal(err)
	}
	s, err := scene.Build(lab.NewT(t, "e2e"), layout, scene.Options{
		Binary: binary, Config: "/run/lvs-ha.hcl", Text: text, Args: args,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			for _, d := range s.Directors {
				t.Logf("log of %s:\n%s", d.Name(), d.Log())
			}
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := s.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if err := s.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	return &story{s, t}
}

func (s *story) active() *scene.Director  { return s.Directors[0] }
func (s *story) standby() *scene.Director { return s.Directors[1] }

// await waits for a status of a director.
func (s *story) await(d *scene.Director, what string, wanted func(api.Status) bool) api.Status {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
	defer cancel()
	status, err := d.Await(ctx, what, wanted)
	if err != nil {
		s.t.Fatalf("%v; its last status: %+v", err, status)
	}
	return status
}

// status returns a director's current status.
func (s *story) status(d *scene.Director) api.Status {
	return s.await(d, "answering", func(api.Status) bool { return true })
}

// download starts the slow downloads and returns when the standby's table contains all of them.
func (s *story) download() *lab.Downloads {
	s.t.Helper()
	d := s.Client.Download(s.t.Context(), downloads, "http://"+scene.VIP, downloadSize, downloadRate)
	<-d.Started()
	ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
	defer cancel()
	for {
		missing, err := s.unsynced(ctx, d)
		if err == nil && missing == 0 {
			return d
		}
		if ctx.Err() != nil {
			s.t.Fatalf("%d of %d connections are not in the standby's table (%v)", missing, downloads, err)
		}
	}
}

func (s *story) unsynced(ctx context.Context, d *lab.Downloads) (missing int, err error) {
	known, err := s.standby().Connections(ctx)
	for _, one := range d.State() {
		if one.Err != nil {
			return 0, one.Err
		}
		if !known[one.Local] {
			missing++
		}
	}
	return missing, err
}

// observed waits while clients are observed.
func (s *story) observed(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.t.Context().Done():
	}
}

// finished lets the downloads end and checks that every byte has arrived.
func (s *story) finished(d *lab.Downloads) {
	s.t.Helper()
	for i, one := range d.State() {
		if one.Done {
			s.t.Errorf("download %d from %s over %s ended early, after %d bytes: %v", i, one.Server, one.Local, one.Bytes, one.Err)
		}
	}
	for _, w := range s.Servers {
		w.Hurry()
	}
	var worst time.Duration
	for i, one := range d.Wait() {
		if one.Err != nil {
			s.t.Errorf("download %d from %s over %s failed after %d bytes: %v", i, one.Server, one.Local, one.Bytes, one.Err)
		}
		worst = max(worst, one.Gap)
	}
	s.t.Logf("all %d downloads have ended; the longest time without a byte was %v", downloads, worst.Round(time.Millisecond))
}

// probe opens a connection to the service every 10 ms. A lost packet makes a probe miss its deadline, because TCP
// retransmits after a second.
func (s *story) probe() *lab.Prober {
	s.t.Helper()
	p, err := s.Client.Probe(s.t.Context(), lab.ProbeConfig{
		Network: "tcp", Address: scene.VIP + ":80", Every: probeEvery, Deadline: 500 * time.Millisecond,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}

// processes returns the process ids of lvs-ha on a director, oldest first, whose command line contains a word. A
// namespace director shares the process table, so only processes in its network namespace count.
func (s *story) processes(d *scene.Director, word string) []string {
	s.t.Helper()
	out := s.shell(d, `for p in $(pgrep -x lvs-ha); do
		[ "$(readlink /proc/$p/ns/net)" = "$(readlink /proc/self/ns/net)" ] || continue
		tr '\0' ' ' </proc/$p/cmdline | grep -q "`+word+`" && echo $p
	done | sort -n`)
	pids := strings.Fields(out)
	if len(pids) == 0 {
		s.t.Fatalf("no process of lvs-ha on %s has %q in its command line", d.Name(), word)
	}
	return pids
}

// signal sends a signal to the oldest process of lvs-ha whose command line contains a word: a younger speaker is the
// spare.
func (s *story) signal(d *scene.Director, signal, word string) {
	s.t.Helper()
	s.shell(d, "kill -"+signal+" "+s.processes(d, " "+word+" ")[0])
}

// killAll kills all processes of lvs-ha on a director before any of them can react, and returns the start time.
func (s *story) killAll(d *scene.Director) time.Time {
	s.t.Helper()
	pids := s.processes(d, "")
	slices.Reverse(pids) // the parent last: stopped workers are woken up when they become orphans
	all := strings.Join(pids, " ")
	began := time.Now()
	s.shell(d, "kill -STOP "+all+"; kill -KILL "+all)
	return began
}

func (s *story) shell(d *scene.Director, script string) string {
	s.t.Helper()
	out, err := lab.Output(s.t.Context(), d.Director, "sh", "-c", script)
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

// takeover watches for the standby's first advert. Its time is the host's, because the machines' clocks differ.
type takeover struct {
	t       *testing.T
	capture *lab.Capture
	stalls  *stalls
}

func (s *story) watchTakeover() takeover {
	s.t.Helper()
	c, err := s.ClientHost.Capture("eth0", lab.Announcements())
	if err != nil {
		s.t.Fatal(err)
	}
	return takeover{s.t, c, watchStalls(s.t)}
}

// after checks the time between the failure and the standby's first advert.
func (w takeover) after(failure time.Time, from netip.Addr) {
	w.t.Helper()
	defer w.capture.Stop()
	for _, f := range w.capture.Frames() {
		if f.Time.Before(failure) || !isAdvert(f.Data, from) {
			continue
		}
		took := f.Time.Sub(failure)
		w.t.Logf("the standby's first advert came %v after the failure", took.Round(time.Millisecond))
		if allowed := takeoverGoal + w.stalls.within(failure, f.Time); took > allowed {
			w.t.Errorf("takeover took %v, want at most %v", took, allowed)
		}
		return
	}
	w.t.Error("no advert of the standby was captured")
}

// isAdvert reports whether an Ethernet frame is a VRRP advert from an IPv4 address.
func isAdvert(frame []byte, from netip.Addr) bool {
	const ethernet, protocol, source = 14, 14 + 9, 14 + 12
	return len(frame) > source+4 && frame[protocol] == vrrp.Protocol && netip.AddrFrom4([4]byte(frame[source:source+4])) == from
}

func transitions(s api.Status) (n uint64) {
	for _, v := range s.VRRP {
		n += v.Transitions
	}
	return n
}

var standbyAddress = map[scene.Layout]netip.Addr{
	scene.NAT: netip.MustParseAddr("202.99.59.112"),
	scene.DR:  netip.MustParseAddr("202.99.59.106"),
}
