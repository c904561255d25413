package ipvsadm

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/lvs-ha/lvs-ha/ipvs"
	"github.com/lvs-ha/lvs-ha/ipvs/ipvstest"
	"github.com/lvs-ha/lvs-ha/sync/connsynctest"
)

// fakeNames resolves a few names.
type fakeNames struct{}

func (fakeNames) Address(host string) (netip.Addr, bool) {
	a, ok := map[string]string{"vip": "192.0.2.1", "web1": "10.0.0.1"}[host]
	if !ok {
		return netip.Addr{}, false
	}
	return netip.MustParseAddr(a), true
}

func (fakeNames) Host(a netip.Addr) string {
	return map[string]string{
		"192.0.2.1": "vip", "10.0.0.1": "web1", "10.0.0.2": "a-very-long-host-name-that-is-long.example",
		"fd00::1": "six1", "fd00::2": "a-very-long-ipv6-host-name.example",
	}[a.String()]
}

func (fakeNames) Port(name string, p ipvs.Protocol) (uint16, bool) {
	switch {
	case name == "http" && p == ipvs.TCP:
		return 80, true
	case name == "tftp" && p == ipvs.UDP:
		return 69, true
	}
	return 0, false
}

func (fakeNames) Service(port uint16, p ipvs.Protocol) string {
	switch {
	case port == 80 && p == ipvs.TCP:
		return "http"
	case port == 69 && p == ipvs.UDP:
		return "tftp"
	}
	return ""
}

type result struct {
	Stdout, Stderr string
	Status         int
}

// fake is a kernel in memory.
type fake struct {
	table       *ipvstest.Kernel
	daemons     *connsynctest.Kernel
	connections string
	env         Environment
}

func newFake(table ...ipvs.ServiceState) *fake {
	return &fake{table: ipvstest.New(table...), daemons: connsynctest.New("eth0")}
}

func (f *fake) run(t testing.TB, stdin string, args ...string) result {
	t.Helper()
	var out, errs bytes.Buffer
	env := f.env
	env.Stdout, env.Stderr, env.Names = &out, &errs, fakeNames{}
	if env.Stdin == nil {
		env.Stdin = strings.NewReader(stdin)
	}
	if env.Open == nil {
		env.Open = func(context.Context) (Kernel, error) {
			return Kernel{Table: f.table, Settings: f.table, Daemons: f.daemons, Close: f.table.Close}, nil
		}
	}
	env.Connections = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(f.connections)), nil }
	status := Main(t.Context(), args, env)
	return result{out.String(), errs.String(), status}
}

// TestCommands expects the real ipvsadm's behavior; the kernel tests compare it at length.
func TestCommands(t *testing.T) {
	const rules = "-A -t vip:http -s sh -b sh-port -p 77 -M 255.255.255.0\n" +
		"-a -t vip:80 -r web1 -m -w 5 -x 10 -y 5\n-a -t 192.0.2.1:80 -r 10.0.0.2:8080 -m\n" +
		"-A -u [fd00::1]:tftp -o\n-a -u [fd00::1]:69 -r [fd00::2]:69\n-A -f 7 -6 -s rr\n" +
		"-a -f 7 -6 -r 10.0.0.3:0 -i --tun-type gue --tun-port 6080 --tun-remcsum\n"
	const saved = "-A -t 192.0.2.1:80 -s sh -p 77 -M 255.255.255.0 -b sh-port\n" +
		"-a -t 192.0.2.1:80 -r 10.0.0.1:80 -m -w 5\n-a -t 192.0.2.1:80 -r 10.0.0.2:8080 -m -w 1\n" +
		"-A -u [fd00::1]:69 -s wlc -o\n-a -u [fd00::1]:69 -r [fd00::2]:69 -g -w 1\n-A -f 7 -6 -s rr\n" +
		"-a -f 7 -6 -r 10.0.0.3:0 -i -w 1 --tun-type gue --tun-port 6080 --tun-remcsum\n"
	const listed = "IP Virtual Server version 1.2.1 (size=4096)\nProt LocalAddress:Port Scheduler Flags\n" +
		"  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn\n" +
		"TCP  vip:http sh (sh-port) persistent 77 mask 255.255.255.0\n" +
		"  -> web1:http                    Masq    5      0          0         \n" +
		"  -> a-very-long-host-name-that-i Masq    1      0          0         \n" +
		"UDP  [six1]:tftp wlc ops\n" +
		"  -> [a-very-long-ipv6-host-name.example]:tftp Route   1      0          0         \n" +
		"FWM  7 IPv6 rr\n" +
		"  -> 10.0.0.3:0                   Tunnel  1      0          0         \n"
	f := newFake()
	for _, tt := range []struct {
		stdin string
		args  string
		want  result
	}{
		{rules, "-R", result{}},
		{"", "-Sn", result{Stdout: saved}},
		{"", "", result{Stdout: listed}},
		{"", "-L", result{Stdout: listed}},
		{"", "-L -t vip:81", result{"", "No such service\n", 1}},
		{"", "-A -t vip:80", result{"", "Service already exists\n", 255}},
		{"", "-a -t vip:80 -r web1 -m", result{"", "Destination already exists\n", 255}},
		{"", "-e -t vip:80 -r web1:81 -m", result{"", "No such destination\n", 255}},
		{"", "-a -t vip:81 -r web1", result{"", "Service not defined\n", 255}},
		{"", "-A -t vip", result{"", "Zero port specified for non-persistent service\n", 2}},
		{"", "-A --start-daemon master", result{"", "invalid option `master'\n", 2}},
		{"", "-A -t vip:82 -Q", result{"", "-Q: unknown option\n", 255}},
		{"", "foo", result{"", "Try `ipvsadm -h' or 'ipvsadm --help' for more information.\n", 255}},
		{"", "-v", result{versionText + "\n", "", 0}},
		{"", "-h --foo", result{helpText + "\n", "", 0}},
		{"", "--set 0 0 77", result{}},
		{"", "-L --timeout", result{Stdout: "Timeout (tcp tcpfin udp): 900 120 77\n"}},
		{"", "--start-daemon master --mcast-interface eth0 --syncid 5", result{}},
		{"", "--start-daemon master --mcast-interface eth0", result{"", "Daemon has already run\n", 255}},
		{"", "--start-daemon backup --mcast-interface eth9", result{"", "No such device\n", 255}},
		{"", "-L --daemon", result{Stdout: "master sync daemon (mcast=eth0, syncid=5, maxlen=1472, group=224.0.0.81, port=8848, ttl=1)\n"}},
		{"", "--stop-daemon backup", result{"", "No daemon is running\n", 255}},
		{"", "-Z -t vip:80", result{}},
		{"", "-Z", result{}},
		{"-A -f 1\n-A -f 1\n-A -f 2\n", "-R", result{"", "Service already exists\n", 0}},
		{"-A -f 1\n-A -f 3 -s foo,\n-A -f 0\n-A -f 4\n", "-R", result{"", "Service already exists\ninvalid fwmark value `0' specified\n", 2}},
		{"-A -f 5\n-A -f 5", "-R", result{"", "Service already exists\n", 255}},
		{"-A -f 6\n-R\n-A -f 7\n", "-R", result{"", tryHelp("ipvsadm").text + "\n", 255}},
		{"-R foo\n-A -f 7\n", "-R", result{"", "unexpected argument foo\n", 2}},
		{"-A -f 8\n-v\n-A -f 9\n", "-R", result{versionText + "\n", "", 0}},
		{"", "-L -n -f 9", result{"", "No such service\n", 1}},
		{"", "-C", result{}},
		{"", "-S", result{}},
	} {
		if diff := cmp.Diff(tt.want, f.run(t, tt.stdin, strings.Fields(tt.args)...)); diff != "" {
			t.Errorf("ipvsadm %s:\n%s", tt.args, diff)
		}
	}
}

func TestWithoutIPVS(t *testing.T) {
	for err, why := range map[error]string{
		ipvs.ErrNoIPVS:         "Protocol not available",
		syscall.EPERM:          "Permission denied (you must be root)",
		errors.New("no reply"): "no reply",
	} {
		f := newFake()
		f.env.Open = func(context.Context) (Kernel, error) { return Kernel{}, err }
		want := result{"", "Can't initialize ipvs: " + why + "\nAre you sure that IP Virtual Server is built in the kernel or as module?\n", 2}
		if diff := cmp.Diff(want, f.run(t, "", "-L")); diff != "" {
			t.Error(diff)
		}
		if got := f.run(t, "", "-h"); got.Status != 0 {
			t.Errorf("help needs a kernel: %+v", got)
		}
	}
	f := newFake()
	f.table.Lost = syscall.EPERM
	if got := f.run(t, "", "-L"); !strings.HasPrefix(got.Stderr, "Can't initialize ipvs: Permission denied") || got.Status != 2 {
		t.Errorf("got %+v", got)
	}
}

func TestOwnedServicesAreNotTouched(t *testing.T) {
	web := ipvs.ServiceAt(ipvs.TCP, netip.MustParseAddrPort("192.0.2.1:80"))
	mark := ipvs.ServiceByMark(ipvs.IPv6, 7)
	f := newFake(ipvs.ServiceState{Service: ipvs.Service{ServiceKey: web, Scheduler: "rr"}})
	f.env.Owner = func(k ipvs.ServiceKey) (string, bool) { return `virtual_service "web"`, k == web || k == mark }
	f.env.SyncOwner = func() (string, bool) { return `vrrp "web"`, true }
	for _, tt := range []struct{ stdin, args, instead string }{
		{"", "-E -t 192.0.2.1:80", "lvs-ha reload"},
		{"", "-D -t 192.0.2.1:80", "lvs-ha reload"},
		{"", "-a -t 192.0.2.1:80 -r 10.0.0.1", "lvs-ha reload"},
		{"", "-a -f 7 -6 -r [fd00::1]:0", "lvs-ha reload"},
		{"", "-C", "lvs-ha reload"},
		{"", "--stop-daemon master", "lvs-ha reload"},
		{"-D -t 192.0.2.1:80\n", "-R", "lvs-ha reload"},
	} {
		got := f.run(t, tt.stdin, strings.Fields(tt.args)...)
		if got.Status != 255 || !strings.Contains(got.Stderr, tt.instead) || !strings.Contains(got.Stderr, "--force") {
			t.Errorf("ipvsadm %s: got %+v", tt.args, got)
		}
	}
	if steps := f.table.Steps(); len(steps) > 0 {
		t.Errorf("the table was changed: %v", steps)
	}
	for _, tt := range []struct{ stdin, args string }{
		{"", "-A -t 192.0.2.1:81"},
		{"", "-L"},
		{"", "-Z"},
		{"-a -t 192.0.2.1:80 -r 10.0.0.1\n", "-R --force"},
		{"-d -t 192.0.2.1:80 -r 10.0.0.1\n", "--force -R"},
		{"", "-D --force -t 192.0.2.1:80"},
		{"", "-C"},
	} {
		if got := f.run(t, tt.stdin, strings.Fields(tt.args)...); got.Status != 0 {
			t.Errorf("ipvsadm %s: got %+v", tt.args, got)
		}
	}
}

// TestHintNamesProgram checks that the hint contains the name under which the program was started.
func TestHintNamesProgram(t *testing.T) {
	f := newFake()
	f.env.Program = "/usr/local/sbin/ipvsadm"
	const want = "Try `/usr/local/sbin/ipvsadm -h' or '/usr/local/sbin/ipvsadm --help' for more information.\n"
	for stdin, args := range map[string]string{"": "foo", "-A -f 1\n-R\n": "-R"} {
		if got := f.run(t, stdin, args); got.Stderr != want || got.Status != 255 {
			t.Errorf("ipvsadm %s: got %+v", args, got)
		}
	}
}

// TestRestoreAppliesCompleteLines checks that a line is applied once it is complete, even if the writer pauses in the middle
// of the next one.
func TestRestoreAppliesCompleteLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		read, write := io.Pipe()
		f.env.Stdin = read
		done := make(chan result)
		go func() { done <- f.run(t, "", "-R") }()
		for _, tt := range []struct {
			text string
			want int
		}{{"-A -f 1\n-A -f 2\n-A -", 2}, {"f 3", 2}, {"\n", 3}, {"-A -f 4\n", 4}, {"-A -f 5", 4}} {
			_, _ = io.WriteString(write, tt.text)
			synctest.Wait()
			if got := len(f.table.Steps()); got != tt.want {
				t.Errorf("after %q: %d services, want %d", tt.text, got, tt.want)
			}
		}
		write.Close()
		if got := <-done; got != (result{}) || len(f.table.Steps()) != 5 {
			t.Errorf("got %+v and %d services", got, len(f.table.Steps()))
		}
	})
}

// TestRestoreClearAfterOwnerChange checks that permission to clear the table is checked after the preceding lines were applied.
func TestRestoreClearAfterOwnerChange(t *testing.T) {
	web := ipvs.ServiceByMark(ipvs.IPv4, 7)
	f := newFake(ipvs.ServiceState{Service: ipvs.Service{ServiceKey: web, Scheduler: "rr"}})
	f.env.Owner = func(k ipvs.ServiceKey) (string, bool) { return `virtual_service "web"`, k == web }
	if got := f.run(t, "-D --force -f 7\n-C\n", "-R"); got != (result{}) {
		t.Errorf("got %+v", got)
	}
}
