package e2e

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/lab"
)

// ldirectordRoot is where scripts/setup unpacks ldirectord and its Perl modules.
const ldirectordRoot = "/var/lib/lvs-ha-test/ldirectord"

// ldirectordDiffers are the lines of ldirectord's table for which lvs-ha has another one by design, or none. A line that ldirectord does
// not have is "".
var ldirectordDiffers = []struct{ theirs, ours, reason string }{
	{"-a -f 7 -r 10.20.0.2:80 -g -w 1", "-a -f 7 -r 10.20.0.2:0 -g -w 1", "packets with a firewall mark keep their port"},
	{"-a -f 7 -r 10.20.0.9:80 -g -w 1", "-a -f 7 -r 10.20.0.9:0 -g -w 1", "packets with a firewall mark keep their port"},
	{"-a -f 9 -6 -r [fd20::2]:80 -g -w 1", "-a -f 9 -6 -r [fd20::2]:0 -g -w 1", "packets with a firewall mark keep their port"},
	{"", "-a -f 9 -6 -r [fd20::9]:0 -g -w 1", "ldirectord cannot add the global fallback to a firewall mark"},
	{"", "-a -t 10.30.0.8:90 -r 10.20.0.2:88 -m -w 0", "checktype = off: real servers stay in the table, with weight 0"},
}

// unusedFallback is a sorry server that is not used: lvs-ha keeps it in the table, with weight 0.
var unusedFallback = regexp.MustCompile(`-r (10\.20\.0\.9|\[fd20::9\]):\d+ .*-w 0$`)

// TestKernelImportedLdirectord runs ldirectord, and lvs-ha with what the import makes of its configuration, each on a host of its
// own, against the same real servers, and compares the IPVS tables: with all servers up, one down, all down, and up again.
func TestKernelImportedLdirectord(t *testing.T) {
	lab.Need(t, lab.Kernel)
	m := newMigrated(t)
	used := map[string]bool{}
	for _, phase := range []struct {
		name   string
		change func()
		rounds int // until ldirectord has checked everything since the change
	}{
		{"all up", m.start, 0},
		{"one down", func() { m.fail(2) }, 2},
		{"all down", func() { m.fail(1) }, 2},
		{"up again", func() { m.repair(1); m.repair(2) }, 2},
	} {
		phase.change()
		m.rounds(phase.rounds)
		var theirs, ours string
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		err := lab.Await(ctx, func() bool {
			theirs, ours = differing(m.table(m.theirs), m.table(m.ours), used)
			return theirs == ours
		})
		cancel()
		if err != nil {
			t.Errorf("%s: only ldirectord:\n%s\nonly lvs-ha:\n%s", phase.name, without(theirs, ours), without(ours, theirs))
		}
	}
	for _, d := range ldirectordDiffers {
		if !used[d.theirs+d.ours] {
			t.Errorf("no longer so: %+v", d)
		}
	}
	m.sameArguments()
}

// differing puts ours in place of ldirectord's lines that differ by design.
func differing(theirs, ours []string, used map[string]bool) (string, string) {
	ours = slices.DeleteFunc(ours, unusedFallback.MatchString)
	for _, d := range ldirectordDiffers {
		in := &theirs
		if d.theirs == "" {
			in = &ours
		}
		if i := slices.Index(*in, cmp.Or(d.theirs, d.ours)); i >= 0 {
			used[d.theirs+d.ours] = true
			*in = slices.Delete(*in, i, i+1)
			if d.theirs != "" && d.ours != "" {
				*in = append(*in, d.ours)
			}
		}
	}
	slices.Sort(theirs)
	slices.Sort(ours)
	return strings.Join(theirs, "\n"), strings.Join(ours, "\n")
}

// migrated are a host with ldirectord, one with lvs-ha, and one that has the addresses of all real servers.
type migrated struct {
	t                  *testing.T
	dir, lvsha         string
	theirs, ours, real *lab.Node
}

func newMigrated(t *testing.T) *migrated {
	t.Helper()
	m := &migrated{t: t, dir: t.TempDir(), lvsha: must[string](t)(lab.Binary())}
	l := lab.NewT(t, "ldirectord")
	lan := must[*lab.Bridge](t)(l.Bridge("lan"))
	host := func(name string, n int) *lab.Node {
		return must[*lab.Node](t)(l.Host(name, lab.NIC{Name: "eth0", Bridge: lan,
			Addresses: lab.Prefixes(fmt.Sprintf("10.9.0.%d/24", n), fmt.Sprintf("fd09::%d/64", n))}))
	}
	m.real, m.theirs, m.ours = host("real", 1), host("theirs", 2), host("ours", 3)
	for _, n := range []*lab.Node{m.theirs, m.ours} {
		m.ip(n, "route add 10.20.0.0/16 via 10.9.0.1", "-6 route add fd20::/16 via fd09::1")
	}
	if err := m.ours.Sysctl("net.ipv4.ping_group_range", "0 0"); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{1, 2, 9} {
		m.ip(m.real, fmt.Sprintf("address add 10.20.0.%d/32 dev lo", n), fmt.Sprintf("address add fd20::%d/128 dev lo", n))
	}
	m.serve()
	return m
}

func (m *migrated) ip(n *lab.Node, commands ...string) {
	m.t.Helper()
	for _, c := range commands {
		if out, err := n.Command(m.t.Context(), "ip", strings.Fields(c)...).CombinedOutput(); err != nil {
			m.t.Fatalf("ip %s: %v: %s", c, err, out)
		}
	}
}

// fail makes connections to a real server fail at once.
func (m *migrated) fail(n int) {
	m.t.Helper()
	m.routes("add", n)
	if err := os.WriteFile(m.failed(n), nil, 0o600); err != nil {
		m.t.Fatal(err)
	}
}

func (m *migrated) repair(n int) {
	m.t.Helper()
	m.routes("del", n)
	if err := os.Remove(m.failed(n)); err != nil {
		m.t.Fatal(err)
	}
}

func (m *migrated) routes(what string, n int) {
	m.t.Helper()
	for _, director := range []*lab.Node{m.theirs, m.ours} {
		m.ip(director, fmt.Sprintf("route %s unreachable 10.20.0.%d", what, n), fmt.Sprintf("-6 route %s unreachable fd20::%d dev lo", what, n))
	}
}

// failed is the file by which the script of external checks knows that a real server has failed.
func (m *migrated) failed(n int) string { return fmt.Sprintf("%s/failed-%d", m.dir, n) }

// serve answers on all real servers: pages on ports 80 and 8080, and what it receives on port 7.
func (m *migrated) serve() {
	m.t.Helper()
	page := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
	}
	pages := http.NewServeMux()
	pages.HandleFunc("/{$}", page("root\n"))
	pages.HandleFunc("www.example/alive.html", page("status: OK\n"))
	pages.HandleFunc("/query", func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "query "+r.URL.RawQuery) })
	server := &http.Server{Handler: pages, ReadHeaderTimeout: time.Minute}
	m.t.Cleanup(func() { _ = server.Close() })
	for _, port := range []string{":80", ":8080"} {
		listener := must[net.Listener](m.t)(m.real.Listen("tcp", port))
		go func() { _ = server.Serve(listener) }()
	}
	echo := must[net.Listener](m.t)(m.real.Listen("tcp", ":7"))
	m.t.Cleanup(func() { _ = echo.Close() })
	go func() {
		for {
			c, err := echo.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(c, c)
				_ = c.Close()
			}()
		}
	}()
}

// start imports the configuration and starts ldirectord, and lvs-ha when ldirectord has checked everything once.
func (m *migrated) start() {
	m.t.Helper()
	write := func(name, text string) string {
		path := filepath.Join(m.dir, name)
		if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
			m.t.Fatal(err)
		}
		return path
	}
	write("check", "#!/bin/sh\necho \"$@\" >>"+m.dir+"/${LVS_HA_ADDRESS:+lvs-ha-}arguments\n[ ! -e "+m.dir+"/failed-${3##*[.:]} ]\n")
	write("round", "#!/bin/sh\n[ -n \"$LVS_HA_ADDRESS\" ] || echo >>"+m.dir+"/rounds\n")
	cf := write("ldirectord.cf", strings.ReplaceAll(ldirectordConfig, "DIR", m.dir))
	imported, err := exec.CommandContext(m.t.Context(), m.lvsha, "import", "ldirectord", cf).Output()
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != 2 { // 2: the global fallback with a mark
		m.t.Fatalf("import: %v\n%s", err, imported)
	}
	hcl := write("lvs-ha.hcl", string(imported))
	modules := must[[]string](m.t)(filepath.Glob(ldirectordRoot + "/usr/lib/*/perl5/*"))
	perl := strings.Join(append(modules, ldirectordRoot+"/usr/share/perl5"), ":")
	m.run(m.theirs, "env", "PERL5LIB="+perl, ldirectordRoot+"/usr/sbin/ldirectord", cf, "start")
	m.rounds(1)
	m.run(m.ours, m.lvsha, "run", "--runtime-dir", m.dir+"/run", "-c", hcl)
	m.t.Cleanup(func() {
		if m.t.Failed() {
			m.t.Logf("imported:\n%s", imported)
		}
	})
}

func (m *migrated) run(n *lab.Node, name string, args ...string) {
	m.t.Helper()
	cmd := n.Command(context.Background(), name, args...)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() {
		_ = cmd.Process.Kill() // as its namespace is gone afterwards, ldirectord need not remove its services one by one
		_ = cmd.Wait()
		if m.t.Failed() {
			m.t.Logf("%s %s:\n%s", name, args, regexp.MustCompile("(?m)^Use of uninitialized.*\n").ReplaceAll(log.Bytes(), nil))
		}
	})
}

// rounds waits until ldirectord has come to the last of its checks n more times.
func (m *migrated) rounds(n int) {
	m.t.Helper()
	count := func() int {
		b, err := os.ReadFile(m.dir + "/rounds")
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			m.t.Fatal(err)
		}
		return len(b)
	}
	ctx, cancel := context.WithTimeout(m.t.Context(), time.Minute)
	defer cancel()
	want := count() + n
	if err := lab.Await(ctx, func() bool { return count() >= want }); err != nil {
		m.t.Fatalf("ldirectord does not check: %v", err)
	}
}

func (m *migrated) table(n *lab.Node) []string {
	m.t.Helper()
	out := must[[]byte](m.t)(n.Command(m.t.Context(), m.lvsha, "export", "ipvsadm").Output())
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

// sameArguments compares the arguments of external checks.
func (m *migrated) sameArguments() {
	m.t.Helper()
	read := func(name string) []string {
		lines := strings.Split(string(must[[]byte](m.t)(os.ReadFile(filepath.Join(m.dir, name)))), "\n")
		slices.Sort(lines)
		return slices.Compact(lines)
	}
	if theirs, ours := read("arguments"), read("lvs-ha-arguments"); !slices.Equal(theirs, ours) {
		m.t.Errorf("arguments of checks: ldirectord's %q, lvs-ha's %q", theirs, ours)
	}
}

// ldirectordConfig has the check that counts the rounds last. With readdquiescent, ldirectord does not add each server at its start
// before it knows whether it is up.
const ldirectordConfig = `supervised = yes
logfile = "DIR/log"
checkinterval = 1
checktimeout = 1
readdquiescent = yes
fallback6 = [fd20::9]

virtual = 10.30.0.1:80
	real = 10.20.0.1:80 masq
	real = 10.20.0.2:80 masq 5
	scheduler = wlc
	request = "alive.html"
	receive = "OK$"
	virtualhost = "www.example"
	fallback = 10.20.0.9
virtual = 10.30.0.2:80
	real = 10.20.0.1:80 gate 3
	real = 10.20.0.2:80 gate 2
	quiescent = yes
	persistent = 600
	netmask = 255.255.255.0
	httpmethod = HEAD
virtual = 10.30.0.3:80
	real = 10.20.0.2:80 ipip 7 "query?a=b", "^query a=b$" l:5 u:9
	receive = "never"
virtual = 10.30.0.4:81
	real = 10.20.0.1->10.20.0.2:8080 masq
	checktype = connect
	fallback = 10.20.0.9:8080 masq
virtual = 10.30.0.5:9
	real = 10.20.0.1:9 gate
	protocol = udp
	ops = yes
	checktype = connect
	scheduler = rr
	quiescent = yes
virtual = 10.30.0.6:90
	real = 10.20.0.2:91 gate
	checktype = external
	checkcommand = DIR/check
virtual = 10.30.0.7:90
	real = 10.20.0.2:90 gate
	checktype = on
	scheduler = sh
	schedflags = sh-port,sh-fallback
virtual = 10.30.0.8:90
	real = 10.20.0.2:88 masq 8
	checktype = off
	fallback = 10.20.0.9
virtual = 10.30.0.9:8080
	real = 10.20.0.2:8080 masq 1 "/query", "never" l:5 u:9
	service = http
	checktype = 2
virtual = 7
	real = 10.20.0.2:80 gate
	service = http
	fallback = 10.20.0.9:80
virtual6 = [fd30::1]:80
	real6 = [fd20::2]:8080 masq 2
	receive = "root$"
virtual6 = 9
	real6 = [fd20::2]:80 gate
	checktype = connect
	checkport = 8080
virtual = 10.30.0.14:7
	real = 10.20.0.2:7 masq
	service = simpletcp
	request = "a\nbc"
	receive = "^b.$"
virtual = 10.30.0.15:8088
	real = 10.20.0.2 gate
	service = http
virtual = 10.30.0.99:99
	real = 10.20.0.9:99 masq
	checktype = external
	checkcommand = DIR/round
`
