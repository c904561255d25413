package realserver_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lvs-ha/lvs-ha/internal/realserver"
	"github.com/lvs-ha/lvs-ha/internal/realserver/realservertest"
)

// root returns a file tree with these files.
func root(t *testing.T, files map[string]string) realserver.Persistence {
	t.Helper()
	p := realserver.Persistence{Root: t.TempDir()}
	for path, content := range files {
		path = filepath.Join(p.Root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

var (
	withNetworkd = map[string]string{"run/systemd/netif/state": "x", "etc/network/interfaces": "auto lo\n"}
	withIfupdown = map[string]string{"etc/network/interfaces": "source /etc/network/interfaces.d/*\nauto lo\niface lo inet loopback\n"}
)

const written = "# Written by lvs-ha realserver up --persist; lvs-ha realserver down --persist removes it.\n"

func TestPersistFiles(t *testing.T) {
	ipip := tun("192.0.2.9", realserver.Tunnel{Type: realserver.IPIP, Outer4: true})
	const arp = "net.ipv4.conf.all.arp_ignore = 1\nnet.ipv4.conf.all.arp_announce = 2\nnet.ipv4.conf.lo.arp_ignore = 1\nnet.ipv4.conf.lo.arp_announce = 2\n"
	const arpTunnel = "net.ipv4.conf.all.arp_ignore = 1\nnet.ipv4.conf.all.arp_announce = 2\n-net.ipv4.conf.tunl0.arp_ignore = 1\n-net.ipv4.conf.tunl0.arp_announce = 2\n-net.ipv4.conf.tunl0.rp_filter = 2\n"
	for _, c := range []struct {
		name   string
		tree   map[string]string
		wanted realserver.Wanted
		want   []realserver.File
	}{
		{"networkd, DR", withNetworkd, dr("202.99.59.110", "fd00::9"), []realserver.File{
			{Path: "etc/sysctl.d/60-lvs-ha-realserver.conf", Content: written + arp},
			{Path: "etc/systemd/network/05-lvs-ha-realserver-lo.network", Content: written + `[Match]
Name=lo

[Address]
Address=202.99.59.110/32

[Route]
Destination=202.99.59.110/32
Scope=link

[Address]
Address=fd00::9/128
PreferredLifetime=0
DuplicateAddressDetection=none
`},
		}},
		{"networkd, TUN", withNetworkd, ipip, []realserver.File{
			{Path: "etc/sysctl.d/60-lvs-ha-realserver.conf", Content: written + arpTunnel},
			{Path: "etc/modules-load.d/lvs-ha-realserver.conf", Content: written + "ipip\n"},
			{Path: "etc/systemd/network/05-lvs-ha-realserver-tunl0.network", Content: written + `[Match]
Name=tunl0

[Network]
LinkLocalAddressing=no

[Address]
Address=192.0.2.9/32

[Route]
Destination=192.0.2.9/32
Scope=link
`},
		}},
		{"ifupdown, DR", withIfupdown, dr("202.99.59.110", "fd00::9"), []realserver.File{
			{Path: "etc/sysctl.d/60-lvs-ha-realserver.conf", Content: written + arp},
			{Path: "etc/network/interfaces.d/lvs-ha-realserver", Content: written + `auto lo
iface lo inet manual
	up ip link set dev lo up
	up sysctl -w net.ipv4.conf.all.arp_ignore=1
	up sysctl -w net.ipv4.conf.all.arp_announce=2
	up sysctl -w net.ipv4.conf.lo.arp_ignore=1
	up sysctl -w net.ipv4.conf.lo.arp_announce=2
	up ip -4 address replace 202.99.59.110/32 dev lo
	up ip -4 route replace 202.99.59.110/32 dev lo scope link
	up ip -6 address replace fd00::9/128 dev lo nodad preferred_lft 0
	down ip -6 address del fd00::9/128 dev lo || true
	down ip -4 route del 202.99.59.110/32 dev lo scope link || true
	down ip -4 address del 202.99.59.110/32 dev lo || true
`},
		}},
		{"ifupdown, GUE", withIfupdown, tun("fd00::9", realserver.Tunnel{Type: realserver.GUE, Outer4: true}), []realserver.File{
			{Path: "etc/modules-load.d/lvs-ha-realserver.conf", Content: written + "sit\nfou\n"},
			{Path: "etc/network/interfaces.d/lvs-ha-realserver", Content: written + `auto sit0
iface sit0 inet manual
	pre-up modprobe sit
	pre-up modprobe fou
	up ip fou show | grep -qxF -e 'port 6080 gue' || ip -4 fou add port 6080 gue
	up ip link set dev sit0 up
	up ip -6 address replace fd00::9/128 dev sit0 nodad preferred_lft 0
	down ip -6 address del fd00::9/128 dev sit0 || true
`},
		}},
		{"ifupdown, two devices", withIfupdown, realserver.Wanted{VIPs: slices.Concat(dr("192.0.2.9").VIPs, onDevice("dummy.7", "192.0.2.10").VIPs)}, []realserver.File{
			{Path: "etc/sysctl.d/60-lvs-ha-realserver.conf", Content: written + arp +
				"-net.ipv4.conf.dummy/7.arp_ignore = 1\n-net.ipv4.conf.dummy/7.arp_announce = 2\n"},
			{Path: "etc/network/interfaces.d/lvs-ha-realserver", Content: written + `auto lo
iface lo inet manual
	up ip link set dev lo up
	up sysctl -w net.ipv4.conf.all.arp_ignore=1
	up sysctl -w net.ipv4.conf.all.arp_announce=2
	up sysctl -w net.ipv4.conf.lo.arp_ignore=1
	up sysctl -w net.ipv4.conf.lo.arp_announce=2
	up ip -4 address replace 192.0.2.9/32 dev lo
	up ip -4 route replace 192.0.2.9/32 dev lo scope link
	down ip -4 route del 192.0.2.9/32 dev lo scope link || true
	down ip -4 address del 192.0.2.9/32 dev lo || true

auto dummy.7
iface dummy.7 inet manual
	up ip link set dev dummy.7 up
	up sysctl -w net.ipv4.conf.dummy/7.arp_ignore=1
	up sysctl -w net.ipv4.conf.dummy/7.arp_announce=2
	up ip -4 address replace 192.0.2.10/32 dev dummy.7
	up ip -4 route replace 192.0.2.10/32 dev dummy.7 scope link
	down ip -4 route del 192.0.2.10/32 dev dummy.7 scope link || true
	down ip -4 address del 192.0.2.10/32 dev dummy.7 || true
`},
		}},
		{"NAT", nil, realserver.Wanted{VIPs: []realserver.VIP{{Address: addr("192.0.2.9"), Mode: realserver.NAT}}}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			files, err := root(t, c.tree).Files(c.wanted)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "files", files, c.want)
		})
	}
}

func TestPersistRefuses(t *testing.T) {
	foreign := map[string]string{"run/systemd/netif/state": "x", "etc/systemd/network/10-lo.network": "[Match]\nName=dummy0 lo\n"}
	for _, c := range []struct {
		name   string
		tree   map[string]string
		wanted realserver.Wanted
		want   string
	}{
		{"no network manager", nil, dr("192.0.2.9"), "systemd-networkd"},
		{"interfaces.d is not read", map[string]string{"etc/network/interfaces": "auto lo\n"}, dr("192.0.2.9"), "/etc/network/interfaces.d"},
		{"another file about lo", foreign, dr("192.0.2.9"), "10-lo.network"},
		{"too much for networkd", withNetworkd, tun("192.0.2.9", realserver.Tunnel{Type: realserver.IPIP}), "ip6tnl0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := root(t, c.tree).Files(c.wanted); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
	p := root(t, map[string]string{"run/systemd/netif/state": "x", "etc/sysctl.d/60-lvs-ha-realserver.conf": "# mine\n"})
	if _, _, err := p.Write(realserver.State{Wanted: dr("192.0.2.9")}); err == nil || !strings.Contains(err.Error(), "60-lvs-ha-realserver.conf") {
		t.Errorf("error %v", err)
	}
	if _, removed, err := p.Write(realserver.State{}); err != nil || len(removed) != 0 {
		t.Errorf("removed %v, %v, but nothing was written", removed, err)
	}
}

// A host that adds an address at boot without suppressing ARP would take it from the director.
func TestPersistHalfWritten(t *testing.T) {
	for name, tree := range map[string]map[string]string{"networkd": withNetworkd, "ifupdown": withIfupdown} {
		t.Run(name, func(t *testing.T) {
			p := root(t, tree)
			if err := os.WriteFile(filepath.Join(p.Root, "etc/sysctl.d"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			written, _, err := p.Write(realserver.State{Kernel: "x", Wanted: dr("192.0.2.9")})
			if err == nil || !slices.Equal(written, []string{"/var/lib/lvs-ha/realserver.json"}) {
				t.Errorf("wrote %v, %v", written, err)
			}
		})
	}
}

func TestPersistOverABoot(t *testing.T) {
	p := root(t, withNetworkd)
	m := realservertest.New("192.0.2.1", "192.0.2.8/24")
	m.AddAddress("lo", "192.0.2.10/32")
	store := realserver.Store{Dir: t.TempDir(), Identity: "boot/7", Record: p.Record()}
	s := &realserver.Server{System: m, Store: store}
	ipip := tun("192.0.2.11", realserver.Tunnel{Type: realserver.IPIP, Outer4: true})
	for _, w := range []realserver.Wanted{dr("192.0.2.9", "192.0.2.10"), ipip} {
		if _, err := s.Up(t.Context(), w); err != nil {
			t.Fatal(err)
		}
	}
	state, err := s.Store.Load()
	if err != nil {
		t.Fatal(err)
	}
	names, _, err := p.Write(state)
	if err != nil || len(names) != 5 {
		t.Fatalf("wrote %v, %v", names, err)
	}

	// The next boot: another kernel, and the files have set up the same addresses.
	s.Store.Identity = "boot2/7"
	if status, err := s.Status(t.Context(), realserver.Wanted{}); err != nil || !status.OK {
		t.Errorf("status is %+v, %v", status, err)
	}
	if _, err := s.Down(t.Context(), ipip.Addresses()); err != nil {
		t.Fatal(err)
	}
	if state, err = s.Store.Load(); err != nil {
		t.Fatal(err)
	}
	_, removed, err := p.Write(state)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "removed", removed, []string{"/etc/systemd/network/05-lvs-ha-realserver-tunl0.network", "/etc/modules-load.d/lvs-ha-realserver.conf"})
	report, err := s.Down(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"ip -4 address del 192.0.2.10/32 dev lo", "ip -4 address del 192.0.2.9/32 dev lo", "sysctl -w net.ipv4.conf.all.arp_ignore=0"}
	for _, w := range want {
		if !slices.Contains(commands(report.Steps), w) {
			t.Errorf("%q is not in %q", w, commands(report.Steps))
		}
	}
	// Down without --persist applies to this boot.
	if _, err := s.Status(t.Context(), realserver.Wanted{}); !errors.Is(err, realserver.ErrNothingSetUp) {
		t.Errorf("status after down: %v", err)
	}
	if _, removed, err := p.Write(realserver.State{}); err != nil || len(removed) != 3 {
		t.Errorf("removed %v, %v", removed, err)
	}
}
