package speaker

import (
	"log/slog"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// gatewayOf returns an instance with the link-local address fe80::1, as a gateway has it on each of its networks.
func gatewayOf(name, iface string, id, priority uint8) vrrp.Instance {
	in := instance(3, vrrp.IPv6, priority, 100*time.Millisecond)
	in.Name, in.Interface, in.VirtualRouterID = name, iface, id
	in.Addresses = []vrrp.Address{{Prefix: netip.MustParsePrefix("fe80::1/64")}}
	return in
}

// A link-local address that is virtual on one interface may be an own one on another.
func TestLinkLocalOnAnotherInterface(t *testing.T) {
	g := newRig(t)
	g.up("eth0", 2, "fe80::a/64")
	g.up("eth1", 3, "fe80::1/64")
	g.up("eth2", 4, "fe80::c/64")
	other := gatewayOf("eth1", "eth1", 8, 100)
	other.Addresses[0].Prefix = netip.MustParsePrefix("fe80::2/64")
	g.want(gatewayOf("eth0", "eth0", 7, 100), gatewayOf("eth2", "eth2", 7, 100), other)
	for name, want := range map[string]string{"eth0": "fe80::a", "eth1": "fe80::1", "eth2": "fe80::c"} {
		if s := g.status(name); s.State != vrrp.Backup {
			t.Errorf("%s is %s: %s", name, s.State, s.Reason)
		}
		for key, r := range g.engine.routers {
			if key.Interface == name && r.state.source.String() != want {
				t.Errorf("%s sends from %s, want %s", name, r.state.source, want)
			}
		}
	}
}

// An advert on one interface is not about the same link-local address on another.
func TestRouterIDOfLinkLocal(t *testing.T) {
	g := newRig(t)
	g.up("eth0", 2, "fe80::a/64")
	g.up("eth1", 3, "fe80::b/64")
	here, sideways := gatewayOf("here", "eth0", 7, 100), gatewayOf("sideways", "eth0", 8, 100)
	here.Addresses[0].Prefix = netip.MustParsePrefix("fe80::2/64")
	sideways.Addresses[0].Interface = "eth1"
	g.want(here, sideways)
	g.advance(10 * time.Second)
	stranger := gatewayOf("stranger", "eth0", 77, 50)
	w := g.engine.wires[wireOf(&sideways)]
	g.engine.receive(w, g.datagram(stranger, 50, "fe80::9"), g.now)
	for _, name := range []string{"here", "sideways"} {
		if s := g.status(name); s.State != vrrp.Master || len(s.Conflicts) > 0 {
			t.Errorf("%s is %s with %+v", name, s.State, s.Conflicts)
		}
	}
}

func TestProbesFromLinkLocal(t *testing.T) {
	n := newNeighbors(slog.New(slog.DiscardHandler), nil, nil)
	n.watch(routerKey{"eth0", vrrp.IPv6, 7}, []placed{{"eth0", netip.MustParsePrefix("fe80::1/64")}})
	for iface, want := range map[string]string{"eth0": "invalid IP", "eth1": "fe80::1"} {
		if got := n.sourceFor(netInterface{Name: iface, Addresses: []ifAddress{usable("fe80::1/64")}}); got.String() != want {
			t.Errorf("probes on %s are from %s, want %s", iface, got, want)
		}
	}
}

// The packet filter gets a link-local address with the interface on which packets to it arrive.
func TestRefusedPacketsOfLinkLocal(t *testing.T) {
	g := newRig(t)
	var got []netip.Addr
	g.engine.refusePackets = func(a []netip.Addr) { got = a }
	g.up("eth0", 2, "fe80::a/64")
	in := gatewayOf("v", "eth0", 7, 100)
	in.VMAC = &vrrp.VMAC{Interface: "vrrp6.7", NoAccept: true}
	in.Addresses = append(in.Addresses, vrrp.Address{Prefix: netip.MustParsePrefix("fd09::100/64")})
	g.want(in)
	if want := []netip.Addr{netip.MustParseAddr("fd09::100"), netip.MustParseAddr("fe80::1%vrrp6.7")}; !slices.Equal(got, want) {
		t.Errorf("refused %v, want %v", got, want)
	}
}
