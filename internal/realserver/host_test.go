package realserver_test

import (
	"context"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/lab"
	"github.com/lvs-ha/lvs-ha/internal/realserver"
	"github.com/lvs-ha/lvs-ha/internal/sysctl"
)

// lan is a real server and a neighbour of it.
type lan struct {
	real, peer *lab.Node
}

// newHosts creates a LAN, and returns a function that adds a host to it.
func newHosts(t *testing.T) func(name string, addresses ...string) *lab.Node {
	t.Helper()
	l := lab.NewT(t, "realserver")
	bridge, err := l.Bridge("lan")
	if err != nil {
		t.Fatal(err)
	}
	return func(name string, addresses ...string) *lab.Node {
		t.Helper()
		h, err := l.Host(name, lab.NIC{Name: "eth0", Bridge: bridge, Addresses: lab.Prefixes(addresses...)})
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
}

func newLAN(t *testing.T) lan {
	t.Helper()
	host := newHosts(t)
	return lan{real: host("real", "202.99.59.108/24", "fd00::108/64"), peer: host("peer", "202.99.59.1/24", "fd00::1/64")}
}

// inHost is a System of a lab host.
type inHost struct{ host *lab.Node }

func (h inHost) Observe(ctx context.Context) (o realserver.Observed, err error) {
	err = h.host.Do(func() error {
		var err error
		o, err = realserver.Linux{}.Observe(ctx)
		return err
	})
	return o, err
}

func (h inHost) Do(ctx context.Context, s realserver.Step) error {
	return h.host.Do(func() error { return realserver.Linux{}.Do(ctx, s) })
}

func hostServer(t *testing.T, h *lab.Node) *realserver.Server {
	t.Helper()
	store := realserver.Store{Dir: t.TempDir()}
	if err := h.Do(func() (err error) { store.Identity, err = sysctl.Identity(); return err }); err != nil {
		t.Fatal(err)
	}
	return &realserver.Server{System: inHost{h}, Store: store}
}

// comparable drops what need not be the same again: sockets, and parameters that the kernel keeps for a device that was
// up once.
func comparable(o realserver.Observed) realserver.Observed {
	o.Sockets = nil
	for _, l := range o.Links {
		if l.NoARP {
			delete(o.Sysctls, sysctl.Conf("ipv6", l.Name, "disable_ipv6"))
		}
	}
	return o
}

func (l lan) observe(t *testing.T) realserver.Observed {
	t.Helper()
	o, err := inHost{l.real}.Observe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return comparable(o)
}

func TestHostDirectRouting(t *testing.T) {
	lab.Need(t, lab.Host)
	directRouting(t)
}

// The test kernel is older.
func TestKernelDirectRouting(t *testing.T) {
	lab.Need(t, lab.Kernel)
	directRouting(t)
}

func directRouting(t *testing.T) {
	l := newLAN(t)
	const rip, vip = "202.99.59.108", "202.99.59.110"
	before := l.observe(t)

	// By default Linux answers ARP for all of its addresses.
	if err := l.real.AddAddress("lo", netip.MustParsePrefix(vip+"/32")); err != nil {
		t.Fatal(err)
	}
	if !l.answersARP(t, vip, rip) {
		t.Error("ARP for the address on lo is not answered before up: the test would detect nothing")
	}
	if err := l.real.DelAddress("lo", netip.MustParsePrefix(vip+"/32")); err != nil {
		t.Fatal(err)
	}

	s := hostServer(t, l.real)
	if _, err := s.Up(t.Context(), dr(vip, "fd00::110")); err != nil {
		t.Fatal(err)
	}
	if l.answersARP(t, vip, rip) {
		t.Error("ARP for the virtual address is answered")
	}
	if l.answersNDP(t, addr("fd00::110"), addr("fd00::108")) {
		t.Error("neighbour discovery for the virtual address is answered")
	}
	for _, key := range []string{"forwarding", "proxy_ndp"} {
		if err := l.real.Sysctl("net.ipv6.conf.all."+key, "1"); err != nil {
			t.Fatal(err)
		}
		if l.answersNDP(t, addr("fd00::110"), addr("fd00::108")) {
			t.Errorf("neighbour discovery for the virtual address is answered with %s on", key)
		}
	}
	if report, err := s.Up(t.Context(), dr(vip, "fd00::110")); err != nil || len(report.Steps) != 0 {
		t.Errorf("up again executed %v, %v", report.Steps, err)
	}
	if status, err := s.Status(t.Context(), realserver.Wanted{}); err != nil || !status.OK {
		t.Errorf("status is %+v, %v", wrong(status), err)
	}
	// Packets for the address are delivered locally, as if a director had sent them by MAC address.
	ln, err := l.real.Listen("tcp", "["+"fd00::110"+"]:80")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	o, err := s.System.Observe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if want := (realserver.Listener{Network: "tcp", Address: netip.MustParseAddrPort("[fd00::110]:80")}); !slices.Contains(o.Sockets, want) {
		t.Errorf("%v is not in %v", want, o.Sockets)
	}
	if _, err := s.Down(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	equal(t, "the machine after down", l.observe(t), before)
}

// The real server's own connections must not use a virtual address as source.
func TestHostVirtualAddressIsNotASource(t *testing.T) {
	lab.Need(t, lab.Host)
	l := newLAN(t)
	if _, err := hostServer(t, l.real).Up(t.Context(), dr("202.99.59.110", "fd00::110")); err != nil {
		t.Fatal(err)
	}
	for to, want := range map[string]string{"[fd00::1]:9": "fd00::108", "202.99.59.1:9": "202.99.59.108"} {
		conn, err := l.real.DialContext(t.Context(), "udp", to)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if got := conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap(); got.String() != want {
			t.Errorf("to %s from %s, want %s", to, got, want)
		}
	}
}

func TestHostNeighborProxyIsReported(t *testing.T) {
	lab.Need(t, lab.Host)
	l := newLAN(t)
	s := hostServer(t, l.real)
	if _, err := s.Up(t.Context(), dr("fd00::110")); err != nil {
		t.Fatal(err)
	}
	run(t, l.real, "ip", "-6", "neigh", "add", "proxy", "fd00::110", "dev", "eth0")
	status, err := s.Status(t.Context(), realserver.Wanted{})
	if err != nil {
		t.Fatal(err)
	}
	w := wrong(status)
	if len(w) != 1 || w[0].Code != realserver.CodeNeighbor {
		t.Fatalf("wrong: %+v, want the proxy", w)
	}
	run(t, l.real, "sh", "-c", w[0].Remedy)
	if status, err := s.Status(t.Context(), realserver.Wanted{}); err != nil || !status.OK {
		t.Errorf("after the remedy: %+v, %v", wrong(status), err)
	}
}

func TestHostGateway(t *testing.T) {
	lab.Need(t, lab.Host)
	l := newLAN(t)
	for _, gateway := range []string{"202.99.59.1", "fd00::1"} {
		if err := l.real.AddRoute(netip.Prefix{}, addr(gateway)); err != nil {
			t.Fatal(err)
		}
	}
	w := realserver.Wanted{Directors: []netip.Addr{addr("202.99.59.1"), addr("fd00::2")},
		VIPs: []realserver.VIP{{Address: addr("192.0.2.9"), Mode: realserver.NAT}, {Address: addr("fd09::9"), Mode: realserver.NAT}}}
	status, err := hostServer(t, l.real).Status(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	if len(status.Checks) != 2 || !status.Checks[0].OK || status.Checks[1].OK || status.Checks[1].Remedy != "ip -6 route replace default via fd00::2" {
		t.Errorf("checks: %+v", status.Checks)
	}
}

func run(t *testing.T, h *lab.Node, name string, args ...string) {
	t.Helper()
	if out, err := h.Command(t.Context(), name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v: %s", name, args, err, out)
	}
}

func TestHostShellScripts(t *testing.T) {
	lab.Need(t, lab.Host)
	l := newLAN(t)
	before := l.observe(t)
	w := dr("202.99.59.110", "fd00::110")
	script, err := realserver.ShellScript(w)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // it can be repeated
		run(t, l.real, "sh", "-c", script)
	}
	s := hostServer(t, l.real)
	if status, err := s.Status(t.Context(), w); err != nil || !status.OK {
		t.Errorf("after the script: %+v, %v", wrong(status), err)
	}
	byScript := l.observe(t)
	for _, a := range []string{"202.99.59.110/32", "fd00::110/128"} {
		if err := l.real.DelAddress("lo", netip.MustParsePrefix(a)); err != nil {
			t.Fatal(err)
		}
	}
	run(t, l.real, "ip", "-4", "route", "del", "202.99.59.110/32", "dev", "lo")
	for key, v := range before.Sysctls {
		if err := l.real.Sysctl(key, v); err != nil {
			t.Fatal(err)
		}
	}

	if _, err := s.Up(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	equal(t, "up compared with the script", l.observe(t), byScript)
	report, err := s.PlanDown(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	run(t, l.real, "sh", "-c", realserver.UndoScript(report))
	equal(t, "after the undo script", l.observe(t), before)
}

// networkdScript runs systemd-networkd for this network namespace only, until it has configured lo.
const networkdScript = `set -eu
mount --make-rprivate /
mount --bind "$0" /etc/systemd/network
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/netif/links /run/systemd/netif/leases /run/systemd/netif/lldp
chown -R systemd-network:systemd-network /run/systemd/netif
mount -o remount,ro,bind /sys # else it waits for udev
/lib/systemd/systemd-networkd >/run/log 2>&1 & networkd=$!
trap 'kill $networkd' EXIT
tries=0
until ip -6 address show dev lo | grep -q "$1" && ip -4 route show | grep -q "$2"; do
	tries=$((tries + 1))
	[ $tries -lt 500 ] || { cat /run/log; exit 1; }
	sleep 0.1
done
`

func TestHostNetworkd(t *testing.T) {
	lab.Need(t, lab.Host)
	l := newLAN(t)
	p := root(t, withNetworkd)
	w := dr("202.99.59.110", "fd00::110")
	if _, _, err := p.Write(realserver.State{Kernel: "x", Wanted: w}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := l.real.Command(ctx, "unshare", "-m", "sh", "-c", networkdScript, p.Root+"/etc/systemd/network", "fd00::110", "202.99.59.110")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("systemd-networkd: %v: %s", err, out)
	}
	settings, err := os.ReadFile(p.Root + "/etc/sysctl.d/60-lvs-ha-realserver.conf")
	if err != nil {
		t.Fatal(err)
	}
	load := l.real.Command(ctx, "sysctl", "-p", "-")
	load.Stdin = strings.NewReader(string(settings))
	if out, err := load.CombinedOutput(); err != nil {
		t.Fatalf("sysctl: %v: %s", err, out)
	}
	if status, err := hostServer(t, l.real).Status(t.Context(), w); err != nil || !status.OK {
		t.Errorf("after systemd-networkd: %+v, %v", wrong(status), err)
	}
}

func TestHostIfupdown(t *testing.T) {
	lab.Need(t, lab.Host)
	ifup, err := exec.LookPath("ifup")
	if err != nil {
		ifup = "/var/lib/lvs-ha-test/ifupdown/sbin/ifup" // where scripts/setup unpacks it
	}
	l := newLAN(t)
	p := root(t, withIfupdown)
	w := dr("202.99.59.110", "fd00::110")
	if _, _, err := p.Write(realserver.State{Kernel: "x", Wanted: w}); err != nil {
		t.Fatal(err)
	}
	interfaces := p.Root + "/interfaces"
	content := "source " + p.Root + "/etc/network/interfaces.d/*\nauto lo\niface lo inet loopback\n"
	if err := os.WriteFile(interfaces, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, l.real, ifup, "--ignore-errors", "--interfaces", interfaces, "--state-dir", t.TempDir(), "lo")
	if status, err := hostServer(t, l.real).Status(t.Context(), w); err != nil || !status.OK {
		t.Errorf("after ifup: %+v, %v", wrong(status), err)
	}
}
