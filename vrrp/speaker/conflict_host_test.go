package speaker

import (
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/lab"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// TestHostSplitBrainIsSeen makes each kind of conflict on real networks: an address that another host has, adverts that a
// packet filter drops, and a virtual router id that is wrong on one node.
func TestHostSplitBrainIsSeen(t *testing.T) {
	n := newLAN(t)
	a, b := newStation(t, n.a), newStation(t, n.b)
	sets := func(priority uint8) []vrrp.Instance {
		v4, v6 := instance(3, vrrp.IPv4, priority, 100*time.Millisecond), instance(3, vrrp.IPv6, priority, 100*time.Millisecond)
		v6.Name = "v6"
		return []vrrp.Instance{v4, v6}
	}
	a.want(sets(200)...)
	a.awaitState("v", vrrp.Master)
	a.awaitState("v6", vrrp.Master)
	sees := func(kind vrrp.ConflictKind, hardware bool) func(vrrp.Status) bool {
		return func(s vrrp.Status) bool {
			for _, c := range s.Conflicts {
				if c.Kind == kind && (!hardware || c.Hardware == macOf(t, n.observer, "eth0")) {
					return true
				}
			}
			return false
		}
	}
	address4, address6 := sets(1)[0].Addresses[0].Prefix.String(), sets(1)[1].Addresses[0].Prefix.String()
	ip(t, n.observer, "address", "add", address4, "dev", "eth0")
	ip(t, n.observer, "address", "add", address6, "dev", "eth0", "nodad")
	a.report("v", "the address elsewhere", sees(vrrp.ConflictAddress, true))
	a.report("v6", "the IPv6 address elsewhere", sees(vrrp.ConflictAddress, true))
	ip(t, n.observer, "address", "del", address4, "dev", "eth0")
	ip(t, n.observer, "address", "del", address6, "dev", "eth0")

	other := sets(100)
	for i := range other {
		other[i].VirtualRouterID++
	}
	b.want(other...)
	b.awaitState("v", vrrp.Master)
	for _, of := range []*station{a, b} {
		of.report("v", "another router id", sees(vrrp.ConflictRouterID, false))
		of.report("v6", "another router id", sees(vrrp.ConflictRouterID, false))
	}

	for _, host := range []*lab.Node{n.a, n.b} {
		if out, err := host.Command(t.Context(), "nft", "add table inet f; add chain inet f in { type filter hook input priority 0; }; "+
			"add rule inet f in meta l4proto 112 drop").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	b.want(sets(100)...)
	for _, of := range []*station{a, b} {
		of.report("v", "hidden adverts", sees(vrrp.ConflictHidden, false))
		of.report("v6", "hidden adverts", sees(vrrp.ConflictHidden, false))
	}
}
