package e2e

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/lvs-ha/lvs-ha/internal/keepalived/effect"
	"github.com/lvs-ha/lvs-ha/internal/lab"
)

// TestKernelImportedServices runs keepalived with generated configurations, and lvs-ha with what the import makes of them, each on a
// host of its own, against the same real servers. It compares the IPVS tables and the lines of the FIFO while servers fail and
// recover.
func TestKernelImportedServices(t *testing.T) {
	lab.Need(t, lab.Kernel)
	seed, times := lab.Seed(t, 4)
	for batch := range slices.Chunk(seedsFrom(seed, times), 8) { // limited by the test kernel's memory
		t.Run(fmt.Sprintf("seeds %d to %d", batch[0], batch[len(batch)-1]), func(t *testing.T) {
			begin := time.Now()
			w := newRealServers(t)
			for i, seed := range batch {
				w.add(seed, i)
			}
			// Servers of classes fail together. From one phase to the next they only fail or only recover, since otherwise a service
			// with hysteresis depends on the order.
			for n, up := range [][]bool{{true, true, false}, {false, false, false}, {true, true, true}, {true, false, false}} {
				if t.Failed() {
					return
				}
				w.set(up)
				if n > 0 {
					w.compare(fmt.Sprintf("phase %d", n), up)
					continue
				}
				for _, d := range w.directors {
					d.theirs.startKeepalived(d.text, "-C", "-D")
					d.startOurs()
				}
				w.compare(start, up)
			}
			t.Logf("%d configurations with %d services after %v", len(batch), w.services, time.Since(begin))
		})
	}
}

func seedsFrom(first uint64, times int) (seeds []uint64) {
	for i := range times {
		seeds = append(seeds, first+uint64(i))
	}
	return seeds
}

// realServers is a host that has the addresses of all real servers, and pairs of directors that check them.
type realServers struct {
	t         *testing.T
	lab       *lab.Lab
	lan       *lab.Bridge
	dir       string
	directors []*imported
	services  int
}

// imported is a configuration that keepalived and lvs-ha run, each on a host.
type imported struct {
	t               *testing.T
	seed            uint64
	text            string
	servers         []server
	weighted        []string // servers whose check sets the weight
	hcl, complaints string   // of the import
	theirs, ours    *side
}

// server is a real server of a generated configuration.
type server struct {
	address netip.Addr
	class   int  // of the servers that fail together
	waits   bool // for its first check before it is used
}

// generatedSorry is how sorry servers of generated configurations begin.
var generatedSorry = []string{"10.103.", "[fd03:3:"}

const realRoute = "10.100.0.0/14" // to all real servers and sorry servers

func newRealServers(t *testing.T) *realServers {
	t.Helper()
	dir, err := os.MkdirTemp("/run", "pool") // a path that only root can change, as a script's must be
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	w := &realServers{t: t, lab: lab.NewT(t, "import"), dir: dir}
	w.lan = must[*lab.Bridge](t)(w.lab.Bridge("lan"))
	reals := must[*lab.Node](t)(w.lab.Host("real", lab.NIC{Name: "eth0", Bridge: w.lan, Addresses: lab.Prefixes("10.9.0.1/16", "fd09::1/64")}))
	for _, command := range []string{"-4 route add local " + realRoute + " dev lo", "-6 route add local fd03::/16 dev lo"} {
		if out, err := reals.Command(t.Context(), "ip", strings.Fields(command)...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v: %s", command, err, out)
		}
	}
	page := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "page\n") })
	web := &http.Server{Handler: page, ReadHeaderTimeout: time.Minute}
	t.Cleanup(func() { _ = web.Close() })
	for _, port := range []string{":80", ":8080"} {
		listener := must[net.Listener](t)(reals.Listen("tcp", port))
		go func() { _ = web.Serve(listener) }()
		silent := must[net.PacketConn](t)(reals.ListenPacket("udp", port))
		t.Cleanup(func() { _ = silent.Close() })
	}
	script := "#!/bin/sh\n[ -e \"${0%/*}/up-$1\" ] && exit ${2:-0}\nexit 1\n"
	if err := os.WriteFile(filepath.Join(dir, "check"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return w
}

// add generates a configuration and the two hosts for it.
func (w *realServers) add(seed uint64, number int) {
	w.t.Helper()
	g := &serviceGenerator{r: rand.New(rand.NewPCG(seed, 2)), dir: w.dir}
	g.config()
	d := &imported{t: w.t, seed: seed, text: g.b.String(), servers: g.servers, weighted: g.weighted}
	host := func(name string, n int) *side {
		s := &side{t: w.t, dir: filepath.Join(w.dir, fmt.Sprint(name, number))}
		if err := os.Mkdir(s.dir, 0o700); err != nil {
			w.t.Fatal(err)
		}
		s.host = must[*lab.Node](w.t)(w.lab.Host(fmt.Sprint(name, number), lab.NIC{Name: "eth0", Bridge: w.lan,
			Addresses: lab.Prefixes(fmt.Sprintf("10.9.1.%d/16", n), fmt.Sprintf("fd09::1:%d/64", n))}))
		for _, route := range []struct{ to, via string }{{realRoute, "10.9.0.1"}, {"fd03::/16", "fd09::1"}} {
			if err := s.host.AddRoute(netip.MustParsePrefix(route.to), netip.MustParseAddr(route.via)); err != nil {
				w.t.Fatal(err)
			}
		}
		if err := s.host.Sysctl("net.ipv4.ping_group_range", "0 0"); err != nil { // what lvs-ha needs for pings
			w.t.Fatal(err)
		}
		s.follow()
		return s
	}
	d.theirs, d.ours = host("theirs", 2*number+1), host("ours", 2*number+2)
	w.directors = append(w.directors, d)
	w.services += strings.Count(d.text, "virtual_server ")
	w.t.Cleanup(func() {
		if d.t.Failed() {
			w.t.Logf("seed %d\n%s\n%s\n%s", seed, d.text, d.complaints, d.hcl)
		}
	})
}

// startOurs imports the configuration, which must not lose anything but the start of a hysteresis, and runs it.
func (d *imported) startOurs() {
	d.t.Helper()
	lossy := false
	if d.hcl, d.complaints, lossy = d.ours.startImported(d.text); lossy && !strings.Contains(d.text, "hysteresis") {
		d.t.Errorf("seed %d: import:\n%s", d.seed, d.complaints)
	}
}

// set makes classes of servers fail at once or work.
func (w *realServers) set(up []bool) {
	w.t.Helper()
	for class, works := range up {
		file := filepath.Join(w.dir, fmt.Sprint("up-", class))
		if works {
			if err := os.WriteFile(file, nil, 0o600); err != nil {
				w.t.Fatal(err)
			}
		} else if err := os.Remove(file); err != nil && !os.IsNotExist(err) {
			w.t.Fatal(err)
		}
		for _, d := range w.directors {
			for _, s := range []*side{d.theirs, d.ours} {
				s.reach(class, works)
			}
		}
	}
}

// reach makes the servers of a class reachable, or connections to them fail at once.
func (s *side) reach(class int, works bool) {
	s.t.Helper()
	lo := must[netlink.Link](s.t)(s.host.Link("lo"))
	for _, network := range []string{fmt.Sprintf("10.%d.0.0/16", 100+class), fmt.Sprintf("fd03:%d::/32", class)} {
		_, to, err := net.ParseCIDR(network)
		if err != nil {
			s.t.Fatal(err)
		}
		route := &netlink.Route{Dst: to, Type: unix.RTN_UNREACHABLE}
		if to.IP.To4() == nil {
			route.LinkIndex = lo.Attrs().Index
		}
		if works {
			err = s.host.Netlink().RouteDel(route)
		} else {
			err = s.host.Netlink().RouteReplace(route)
		}
		if err != nil && err != unix.ESRCH {
			s.t.Fatal(err)
		}
	}
}

// compare waits until keepalived knows the state of all servers, and until both have done the same.
func (w *realServers) compare(phase string, up []bool) {
	w.t.Helper()
	for _, d := range w.directors {
		ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
		if err := lab.Await(ctx, func() bool { return len(d.unknown(up)) == 0 }); err != nil {
			w.t.Errorf("seed %d, %s: keepalived does not know the state of %v", d.seed, phase, d.unknown(up))
		}
		var theirs, ours string
		if err := lab.Await(ctx, func() bool {
			theirs, ours = comparableTables(readTable(w.t, d.theirs.host), readTable(w.t, d.ours.host), generatedSorry...)
			return theirs == ours
		}); err != nil {
			w.t.Errorf("seed %d, %s: only keepalived's\n%s\nonly lvs-ha's\n%s", d.seed, phase, without(theirs, ours), without(ours, theirs))
		}
		text := func(lines []string) string { return d.poolLines(lines, phase) }
		if theirs, ours, same := d.compareSince(ctx, fifoLines, text); !same {
			w.t.Errorf("seed %d, %s: FIFO: only keepalived's\n%s\nonly lvs-ha's\n%s", d.seed, phase, without(theirs, ours), without(ours, theirs))
		}
		cancel()
		if !slices.Contains(up, false) {
			d.compareComputed()
		}
	}
}

// compareComputed compares keepalived's table while all servers work with what is computed for `lvs-ha import --check`. That has no
// sorry servers, and no weights that checks set.
func (d *imported) compareComputed() {
	d.t.Helper()
	computed := keepalivedEffect(d.t, d.theirs.dir+"/keepalived.conf", effect.ThisHost).Rules
	theirs, want := comparableTables(readTable(d.t, d.theirs.host), strings.Join(computed, "\n"), generatedSorry...)
	special := map[string]bool{} // services
	for line := range strings.Lines(theirs) {
		m := rule.FindStringSubmatch(line)
		if m != nil && slices.ContainsFunc(slices.Concat(generatedSorry, d.weighted), func(s string) bool { return strings.HasPrefix(m[2], s) }) {
			special[m[1]] = true
		}
	}
	rest := func(table string) string {
		return strings.Join(slices.DeleteFunc(strings.Split(table, "\n"), func(line string) bool {
			m := rule.FindStringSubmatch(line)
			return m != nil && special[m[1]]
		}), "\n")
	}
	if theirs, want = rest(theirs), rest(want); theirs != want {
		d.t.Errorf("seed %d: only keepalived:\n%s\nonly computed:\n%s", d.seed, without(theirs, want), without(want, theirs))
	}
}

// unknown returns the servers for which keepalived has another state.
func (d *imported) unknown(up []bool) (all []string) {
	states := map[netip.Addr]string{}
	for _, line := range d.theirs.lines() {
		if m := serverLine.FindStringSubmatch(line); m != nil {
			states[netip.MustParseAddr(m[1])] = m[2]
		}
	}
	for _, s := range d.servers {
		want := "DOWN"
		if up[s.class] {
			want = "UP"
		}
		state := states[s.address] // some checks tell nothing if they fail for a server that waits
		if fromStart := state == "" && (want == "UP") != s.waits; state != want && !fromStart {
			all = append(all, s.address.String())
		}
	}
	return all
}

var serverLine = regexp.MustCompile(`^RS \[([^\]]+)\]\S* .* (UP|DOWN)$`)

// poolLines returns the states of each service and server in lines of a FIFO, without those of groups, for which lvs-ha writes lines for
// each address. At the start, keepalived says that a service is up before it has checked a server, nothing of a service that is down and
// has no sorry server, and with some checks nothing of a server that waits for its first check and fails.
func (d *imported) poolLines(lines []string, phase string) string {
	states := map[string][]string{}
	for _, line := range lines {
		if i := strings.LastIndexByte(line, ' '); !groupLine.MatchString(line) {
			states[line[:i]] = append(states[line[:i]], line[i+1:])
		}
	}
	var all []string
	for subject, of := range states {
		if phase == start && (strings.HasPrefix(subject, "VS ") || d.waits(subject)) {
			if of = of[len(of)-1:]; of[0] == "DOWN" {
				continue
			}
		}
		all = append(all, subject+" "+strings.Join(slices.Compact(of), " "))
	}
	slices.Sort(all)
	return strings.Join(all, "\n")
}

// waits reports whether the server that a line is about is used only after its first check.
func (d *imported) waits(line string) bool {
	m := serverLine.FindStringSubmatch(line + " DOWN")
	return m != nil && slices.ContainsFunc(d.servers, func(s server) bool { return s.waits && s.address == netip.MustParseAddr(m[1]) })
}

const start = "start"

var groupLine = regexp.MustCompile(` (\[G\d\]:0|FWM 90\d|\[10\.1\.\S+) `)

// comparableTables returns two tables without what is the same in effect: lvs-ha keeps sorry servers, which are those that begin as
// given, and while one is in use the real servers in the table with weight 0.
func comparableTables(theirs, ours string, sorryServers ...string) (string, string) {
	isSorry := func(server string) bool {
		return slices.ContainsFunc(sorryServers, func(s string) bool { return strings.HasPrefix(server, s) })
	}
	inUse := map[string]bool{} // services
	for line := range strings.Lines(theirs) {
		if m := rule.FindStringSubmatch(line); m != nil && isSorry(m[2]) && m[3] != "0" {
			inUse[m[1]] = true
		}
	}
	comparable := func(table string) string {
		lines := slices.DeleteFunc(strings.Split(sortedRules([]byte(table)), "\n"), func(line string) bool {
			m := rule.FindStringSubmatch(line)
			return m != nil && m[3] == "0" && (inUse[m[1]] || isSorry(m[2]))
		})
		return strings.Join(lines, "\n")
	}
	return comparable(theirs), comparable(ours)
}

// rule has the service, the server and the weight.
var rule = regexp.MustCompile(`^-a (.*) -r (\S+) .*-w (\d+)`)
