package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvs-ha/lvs-ha/internal/keepalived/effect"
	"github.com/lvs-ha/lvs-ha/internal/lab"
)

// TestKernelImportedServices runs keepalived with generated configurations, and lvs-ha with what the import makes of them, each on a
// host of its own, against the same real servers. It compares the IPVS tables, the lines of the FIFO and the calls of scripts while
// servers fail and recover.
func TestKernelImportedServices(t *testing.T) {
	lab.Need(t, lab.Kernel)
	seed, times := lab.Seed(t, 8)
	for batch := range slices.Chunk(seedsFrom(seed, times), generatedTogether) {
		t.Run(fmt.Sprintf("seeds %d to %d", batch[0], batch[len(batch)-1]), func(t *testing.T) {
			begin := time.Now()
			w := newRealServers(t)
			d := w.generate(batch)
			// Servers of classes fail together. From one phase to the next they only fail or only recover, since otherwise a service
			// with hysteresis depends on the order.
			for n, up := range [][]bool{atStart, {false, false, false}, {true, true, true}, {true, false, false}} {
				if t.Failed() {
					return
				}
				w.set(up)
				if n > 0 {
					w.compare(fmt.Sprintf("phase %d", n), up)
					continue
				}
				d.theirs.startKeepalived(d.text, "-C", "-D")
				d.startOurs()
				w.compare(start, up)
			}
			t.Logf("%d configurations with %d services after %v", len(batch), strings.Count(d.text, "virtual_server "), time.Since(begin))
		})
	}
}

// generatedTogether is how many generated configurations two hosts run as one. Each has the third numbers of its addresses.
const generatedTogether = 16

func seedsFrom(first uint64, times int) (seeds []uint64) {
	for i := range times {
		seeds = append(seeds, first+uint64(i))
	}
	return seeds
}

// realServers is a host that has the addresses of all real servers, and the two directors that check them.
type realServers struct {
	t    *testing.T
	lab  *lab.Lab
	lan  *lab.Bridge
	host *lab.Node
	dir  string
	both *imported
	up   []bool // classes of servers
}

// imported is a configuration that keepalived and lvs-ha run, each on a host.
type imported struct {
	t               *testing.T
	seed            uint64
	text            string
	servers         map[netip.Addr]server
	weighted        []string        // servers whose check sets the weight
	notified        map[string]bool // what calls scripts, as calls name it
	hcl, complaints string          // of the import
	theirs, ours    *side
}

// server is a real server of a generated configuration.
type server struct {
	address netip.Addr
	class   int  // of the servers that fail together
	fails   bool // has a check that fails with the class
	waits   bool // for its first check before it is used
	file    bool // a FILE_CHECK: keepalived reads the file before it starts and tells nothing about that
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
	w.host = reals
	certificate := must[*lab.Certificate](t)(lab.NewCertificate("servers"))
	for _, port := range []string{":80", ":8080", ":443"} {
		serve(t, reals, port, func(c net.Conn) { answerWeb(c, certificate) })
	}
	for _, port := range []string{":80", ":8080"} {
		silent := must[net.PacketConn](t)(reals.ListenPacket("udp", port))
		t.Cleanup(func() { _ = silent.Close() })
	}
	serve(t, reals, ":25", answerMail)
	names := must[net.PacketConn](t)(reals.ListenPacket("udp", ":53"))
	t.Cleanup(func() { _ = names.Close() })
	go answerNames(names.(*net.UDPConn))
	if err := reals.Sysctl("net.ipv6.ip_nonlocal_bind", "1"); err != nil { // for answers from the addresses of a route
		t.Fatal(err)
	}
	script := "#!/bin/sh\n[ -e \"${0%/*}/up-$1\" ] && exit ${2:-0}\nexit 1\n"
	if err := os.WriteFile(filepath.Join(dir, "check"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return w
}

// generate makes one file of generated configurations, and the two hosts for it.
func (w *realServers) generate(seeds []uint64) *imported {
	w.t.Helper()
	d := &imported{t: w.t, seed: seeds[0], text: generatedHead(w.dir), servers: map[netip.Addr]server{}, notified: map[string]bool{}}
	for i, seed := range seeds {
		g := &serviceGenerator{imported: d, interval: 1 + len(seeds)/8, r: rand.New(rand.NewPCG(seed, 2)), dir: w.dir, number: i}
		g.config()
		d.text += fmt.Sprintf("! seed %d\n%s", seed, g.b.String())
	}
	host := func(name string, n int) *side {
		s := &side{t: w.t, dir: filepath.Join(w.dir, name)}
		if err := os.Mkdir(s.dir, 0o700); err != nil {
			w.t.Fatal(err)
		}
		s.host = must[*lab.Node](w.t)(w.lab.Host(name, lab.NIC{Name: "eth0", Bridge: w.lan,
			Addresses: lab.Prefixes(fmt.Sprintf("10.9.1.%d/16", n), fmt.Sprintf("fd09::1:%d/64", n))}))
		for _, route := range []struct{ to, via string }{{realRoute, "10.9.0.1"}, {"fd03::/16", "fd09::1"}} {
			if err := s.host.AddRoute(netip.MustParsePrefix(route.to), netip.MustParseAddr(route.via)); err != nil {
				w.t.Fatal(err)
			}
		}
		if err := s.host.Sysctl("net.ipv4.ping_group_range", "0 0"); err != nil { // what lvs-ha needs for pings
			w.t.Fatal(err)
		}
		s.write("note", noteCalls, 0o700)
		s.follow()
		return s
	}
	d.theirs, d.ours = host("theirs", 1), host("ours", 2)
	w.both = d
	w.t.Cleanup(func() {
		if d.t.Failed() {
			w.t.Logf("%s\n%s\n%s", d.text, d.complaints, d.hcl)
		}
	})
	return d
}

// noteCalls is a script that notes its arguments.
const noteCalls = "#!/bin/sh\necho \"$@\" >>\"${0%/*}/notes\"\n"

// startOurs imports the configuration, which must not lose anything but the start of a hysteresis, and runs it.
func (d *imported) startOurs() {
	d.t.Helper()
	d.hcl, d.complaints, _ = d.ours.startImported(d.text)
	for line := range strings.Lines(d.complaints) {
		if lost.MatchString(line) && !strings.Contains(line, ": hysteresis: ") {
			d.t.Errorf("import: %s", line)
		}
	}
}

// lost are the findings of an import about what is not the same.
var lost = regexp.MustCompile(`: (differs|missing): `)

// set makes classes of servers fail at once or work. What is connected stays connected, since Debian's keepalived waits up to five seconds
// for the end of each of its connections, and does nothing else meanwhile.
func (w *realServers) set(up []bool) {
	w.t.Helper()
	var servers, directors strings.Builder
	for class, works := range up {
		if w.up != nil && w.up[class] == works {
			continue
		}
		file := filepath.Join(w.dir, fmt.Sprint("up-", class))
		if works {
			if err := os.WriteFile(file, nil, 0o600); err != nil {
				w.t.Fatal(err)
			}
		} else if err := os.Remove(file); err != nil && !os.IsNotExist(err) {
			w.t.Fatal(err)
		}
		w.tell(fmt.Sprint("failed-", class), !works)
		w.tell(fmt.Sprint("works-", class), works)
		if w.up == nil && works {
			continue
		}
		filter, rule := "-A", "add"
		if works {
			filter, rule = "-D", "del"
		}
		for family, network := range map[string]string{"4": fmt.Sprintf("10.%d.0.0/16", 100+class), "6": fmt.Sprintf("fd03:%d::/32", class)} {
			fmt.Fprintf(&servers, "%s-legacy %s INPUT -p tcp --syn -d %s -j REJECT --reject-with tcp-reset\n", map[string]string{"4": "iptables", "6": "ip6tables"}[family], filter, network)
			for _, protocol := range []int{unix.IPPROTO_UDP, unix.IPPROTO_ICMP, unix.IPPROTO_ICMPV6} {
				fmt.Fprintf(&directors, "ip -%s rule %s to %s ipproto %d pref %d unreachable\n", family, rule, network, protocol, 1000*(class+1)+protocol)
			}
		}
	}
	w.up = up
	for host, script := range map[*lab.Node]string{w.host: servers.String(), w.both.theirs.host: directors.String(), w.both.ours.host: directors.String()} {
		if out, err := host.Command(w.t.Context(), "sh", "-ec", script).CombinedOutput(); err != nil {
			w.t.Fatalf("%v: %s", err, out)
		}
	}
}

// tell writes a tracked file. Its number is not 0 if something is true.
func (w *realServers) tell(name string, is bool) {
	w.t.Helper()
	text := "0\n"
	if is {
		text = "3\n"
	}
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// poll is lab.Await for what costs much.
func poll(ctx context.Context, so func() bool) error {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// compare waits until keepalived knows the state of all servers, and until both have done the same.
func (w *realServers) compare(phase string, up []bool) {
	w.t.Helper()
	d := w.both
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	if err := poll(ctx, func() bool { return len(d.unknown(up)) == 0 }); err != nil {
		w.t.Errorf("%s: keepalived does not know the state of %v", phase, d.unknown(up))
	}
	var theirs, ours string
	if err := poll(ctx, func() bool {
		theirs, ours = comparableTables(readTable(w.t, d.theirs.host), readTable(w.t, d.ours.host), generatedSorry...)
		return theirs == ours
	}); err != nil {
		w.t.Errorf("%s: only keepalived's\n%s\nonly lvs-ha's\n%s", phase, without(theirs, ours), without(ours, theirs))
	}
	text := func(lines []string) string { return d.poolLines(lines, phase) }
	if theirs, ours, same := d.compareSince(ctx, fifoLines, text); !same {
		w.t.Errorf("%s: FIFO: only keepalived's\n%s\nonly lvs-ha's\n%s", phase, without(theirs, ours), without(ours, theirs))
	}
	for name, s := range map[string]*side{"keepalived": d.theirs, "lvs-ha": d.ours} {
		var calls, lines string
		if err := poll(ctx, func() bool {
			calls, lines = d.scriptsAndLines(s)
			return calls == lines
		}); err != nil {
			w.t.Errorf("%s: %s: only the scripts\n%s\nonly the FIFO\n%s", phase, name, without(calls, lines), without(lines, calls))
		}
	}
	if !slices.Contains(up, false) {
		d.compareComputed()
	}
}

// scriptsAndLines returns all calls of scripts of a side, and what its FIFO has told about the same servers and services. lvs-ha also calls
// the script of a server that is used from the start, of which the FIFO tells nothing.
func (d *imported) scriptsAndLines(s *side) (string, string) {
	var calls, lines []string
	for _, line := range s.lines() {
		if m := stateLine.FindStringSubmatch(line); m != nil && d.notified[m[1]+" "+m[2]] {
			lines = append(lines, m[1]+" "+m[2]+"\n")
		}
	}
	count := map[string]int{}
	for _, line := range lines {
		count[line]++
	}
	for _, call := range s.since(scriptCalls) {
		if count[call]--; s == d.ours && count[call] == -1 && strings.HasPrefix(call, "RS ") && strings.HasSuffix(call, " UP\n") && !d.waits(strings.TrimSuffix(call, " UP\n")) {
			continue
		}
		calls = append(calls, call)
	}
	return called(calls), called(lines)
}

// stateLine has the service or server and its state.
var stateLine = regexp.MustCompile(`^([RV]S (?:FWM \d+|\[[^\]]+\])).* (UP|DOWN)$`)

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
		d.t.Errorf("only keepalived:\n%s\nonly computed:\n%s", without(theirs, want), without(want, theirs))
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
		fromStart := state == "" && (want == "UP" && !s.waits || want == "DOWN" && (s.waits || s.file && !atStart[s.class]))
		if s.fails && state != want && !fromStart {
			all = append(all, s.address.String())
		}
	}
	return all
}

var serverLine = regexp.MustCompile(`^RS \[([^\]]+)\].* (UP|DOWN)$`)

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
		if phase == start && d.server(subject).file {
			continue
		}
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
func (d *imported) waits(line string) bool { return d.server(line).waits }

// server returns the server that a line is about.
func (d *imported) server(line string) server {
	if m := serverLine.FindStringSubmatch(line + " DOWN"); m != nil {
		return d.servers[netip.MustParseAddr(m[1])]
	}
	return server{}
}

const start = "start"

// atStart has the classes of servers that work at the start.
var atStart = []bool{true, true, false}

var groupLine = regexp.MustCompile(` (\[[AB]\d+\]:0|FWM 9\d{4}|\[10\.1\.\S+) `)

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
