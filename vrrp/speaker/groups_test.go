package speaker

import (
	"net/netip"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// routerPair is two instances on two interfaces, in a group.
func routerPair() (outside, inside vrrp.Instance) {
	outside, inside = v3(100), v3(100)
	outside.Name, inside.Name = "outside", "inside"
	inside.Interface, inside.VirtualRouterID = "eth1", 52
	inside.Addresses = []vrrp.Address{{Prefix: netip.MustParsePrefix("10.8.0.100/24")}}
	return outside, inside
}

func (g *rig) wantGroup(group string, instances ...vrrp.Instance) {
	w := vrrp.Wanted{DirectorGrace: 2 * time.Second}
	for _, in := range instances {
		w.Instances = append(w.Instances, vrrp.WantedInstance{Instance: in, Group: group})
	}
	g.engine.setWanted(w, g.now)
	g.settle()
}

func (g *rig) expectBoth(state vrrp.State, outside, inside vrrp.Reason) {
	g.t.Helper()
	g.expect("outside", state, outside)
	g.expect("inside", state, inside)
}

func TestGroup(t *testing.T) {
	g := newRig(t)
	outside, inside := routerPair()
	g.up("eth0", 2, "10.9.0.1/24")
	g.wantGroup("router", outside, inside)
	g.expectBoth(vrrp.Initialize, vrrp.ReasonGroupFault, vrrp.ReasonInterfaceMissing)
	g.up("eth1", 3, "10.8.0.1/24")
	g.expectBoth(vrrp.Backup, vrrp.ReasonStartup, vrrp.ReasonStartup)
	if got := g.status("inside").Group; got != "router" {
		t.Errorf("the group is %q", got)
	}
	// The peer leaves.
	g.advance(200 * time.Millisecond)
	g.hear(outside, 150, "10.9.0.2")
	g.hear(outside, 0, "10.9.0.2")
	g.advance(70 * time.Millisecond)
	g.expectBoth(vrrp.Master, vrrp.ReasonPriorityZero, vrrp.ReasonGroup)
}

// TestGroupLeavesCleanly: the member whose link works hands over.
func TestGroupLeavesCleanly(t *testing.T) {
	g := newRig(t)
	outside, inside := routerPair()
	g.up("eth0", 2, "10.9.0.1/24")
	g.up("eth1", 3, "10.8.0.1/24")
	g.wantGroup("router", outside, inside)
	g.advance(time.Second)
	g.expectBoth(vrrp.Master, vrrp.ReasonMasterDownTimer, vrrp.ReasonGroup)
	g.did()
	g.down("eth0", 2)
	g.expect("outside", vrrp.Initialize, vrrp.ReasonInterfaceDown)
	if st := g.status("inside"); st.State != vrrp.Leaving {
		t.Errorf("inside is %s", st.State)
	}
	g.advance(time.Second)
	g.expectBoth(vrrp.Initialize, vrrp.ReasonInterfaceDown, vrrp.ReasonGroupFault)
	g.up("eth0", 2, "10.9.0.1/24")
	g.expectBoth(vrrp.Backup, vrrp.ReasonStartup, vrrp.ReasonStartup)

	// Out of the group, each is on its own.
	g.wantGroup("", outside, inside)
	g.advance(time.Second)
	g.down("eth0", 2)
	g.expect("inside", vrrp.Master, vrrp.ReasonMasterDownTimer)
}

// TestGroupIsAdopted: both go on as master, in whatever order their sockets open.
func TestGroupIsAdopted(t *testing.T) {
	g := newRig(t)
	outside, inside := routerPair()
	until := g.now.Add(time.Second).UnixNano()
	g.engine.inherited = map[routerKey]int64{keyOf(&outside): until, keyOf(&inside): until}
	g.up("eth0", 2, "10.9.0.1/24", "10.9.0.100/24")
	g.up("eth1", 3, "10.8.0.1/24", "10.8.0.100/24")
	g.wantGroup("router", outside, inside)
	g.expectBoth(vrrp.Master, vrrp.ReasonAdopted, vrrp.ReasonAdopted)
	g.engine.stop(g.now)
	g.settle()
	g.expectBoth(vrrp.Leaving, vrrp.ReasonResignStop, vrrp.ReasonResignStop)
}
