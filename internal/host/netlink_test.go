package host_test

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"testing"

	"github.com/lvs-ha/lvs-ha/internal/host"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func TestListAsksAgain(t *testing.T) {
	refused := errors.New("refused")
	for _, c := range []struct {
		name        string
		interrupted int
		fails       error
		want        error
		asked       int
	}{
		{"at once", 0, nil, nil, 1},
		{"after changes", 3, nil, nil, 4},
		{"never still", 1000, nil, netlink.ErrDumpInterrupted, 10},
		{"refused", 2, refused, refused, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			asked := 0
			got, err := host.List("things", func() ([]int, error) {
				asked++
				if asked <= c.interrupted {
					return []int{9}, netlink.ErrDumpInterrupted
				}
				return []int{1, 2}, c.fails
			})
			if !errors.Is(err, c.want) || asked != c.asked || err == nil && !slices.Equal(got, []int{1, 2}) {
				t.Errorf("%v, %v after %d times, want %v after %d", got, err, asked, c.want, c.asked)
			}
		})
	}
}

func TestPrefix(t *testing.T) {
	for _, s := range []string{"192.0.2.9/24", "0.0.0.0/0", "fd00::9/64", "::/0"} {
		want := netip.MustParsePrefix(s)
		mask := net.CIDRMask(want.Bits(), want.Addr().BitLen())
		for _, ip := range []net.IP{want.Addr().AsSlice(), net.IP(want.Addr().AsSlice()).To16()} {
			if got, ok := host.Prefix(&net.IPNet{IP: ip, Mask: mask}); !ok || got != want {
				t.Errorf("%s, %d bytes: %v, %v", s, len(ip), got, ok)
			}
		}
	}
	for _, bad := range []*net.IPNet{
		nil, {IP: net.IP{1, 2, 3}, Mask: net.CIDRMask(24, 32)}, {IP: net.ParseIP("fd00::1"), Mask: net.CIDRMask(24, 32)},
		{IP: net.IP{10, 0, 0, 1}, Mask: net.CIDRMask(64, 128)},
	} {
		if got, ok := host.Prefix(bad); ok {
			t.Errorf("of %v: %v", bad, got)
		}
	}
}

func TestReadThisMachine(t *testing.T) {
	h, err := host.Open(host.Timeout)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	s, err := host.Read(h)
	if err != nil {
		t.Fatal(err)
	}
	lo, ok := s.Links.Find("lo")
	if !ok || !lo.Loopback || lo.Neighbors() || lo.MTU == 0 || s.Links.NameOf(lo.Index) != "lo" || s.Links.NameOf(-1) != "" {
		t.Errorf("lo is %+v in %+v", lo, s.Links)
	}
	for _, r := range s.Routes {
		if !r.Destination.IsValid() || r.Local {
			t.Errorf("route %+v", r)
		}
	}
	if _, exists := s.Links.Find("no such link"); exists {
		t.Error("an unknown link was found")
	}
	to := netip.MustParseAddr("127.0.0.1")
	if r, err := host.RouteTo(h, to, s.Links); err == nil && (!r.Local || r.Interface != "lo" || r.Gateway.IsValid()) {
		t.Errorf("route to %s: %+v", to, r)
	}
}

func TestLinkOf(t *testing.T) {
	for _, c := range []struct {
		flags                  uint32
		up, running, neighbors bool
	}{
		{0, false, false, true},
		{unix.IFF_RUNNING, false, false, true},
		{unix.IFF_UP, true, false, true},
		{unix.IFF_UP | unix.IFF_RUNNING, true, true, true},
		{unix.IFF_UP | unix.IFF_RUNNING | unix.IFF_NOARP, true, true, false},
		{unix.IFF_UP | unix.IFF_RUNNING | unix.IFF_LOOPBACK, true, true, false},
	} {
		l := host.LinkOf(&netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: 3, Name: "eth0", RawFlags: c.flags, MTU: 1500}})
		if l.Index != 3 || l.Name != "eth0" || l.MTU != 1500 || l.Up != c.up || l.Running() != c.running || l.NoCarrier != (c.up && !c.running) ||
			l.Neighbors() != c.neighbors {
			t.Errorf("flags %#x: %+v", c.flags, l)
		}
	}
	if !host.LinkOf(&netlink.Ip6tnl{}).Any || host.LinkOf(&netlink.Ip6tnl{Proto: unix.IPPROTO_IPV6}).Any {
		t.Error("what an IPv6 tunnel takes is not seen")
	}
}

func TestRoute(t *testing.T) {
	for destination, want := range map[string][2]bool{"0.0.0.0/0": {true, false}, "::/0": {true, true}, "192.0.2.0/24": {false, false}, "fd00::/64": {false, true}} {
		r := host.Route{Destination: netip.MustParsePrefix(destination)}
		if r.Default() != want[0] || r.IPv6() != want[1] {
			t.Errorf("%s: default %t, IPv6 %t", destination, r.Default(), r.IPv6())
		}
	}
	if (host.Route{}).Default() {
		t.Error("no route is a default route")
	}
}
