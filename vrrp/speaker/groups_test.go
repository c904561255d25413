package speaker

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/lab"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// routerPair returns two instances on two interfaces, in a group.
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

// TestGroupLeavesCleanly checks that the member with a working link hands over.
func TestGroupLeavesCleanly(t *testing.T) {
	g := newRig(t)
	outside, inside := routerPair()
	g.up("eth0", 2, "10.9.0.1/24")
	g.up("eth1", 3, "10.8.0.1/24")
	g.wantGroup("router", outside, inside)
	g.advance(time.Second)
	g.expectBoth(vrrp.Master, vrrp.ReasonGroup, vrrp.ReasonMasterDownTimer)
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

	// Without the group, the instances are independent.
	g.wantGroup("", outside, inside)
	g.advance(time.Second)
	g.down("eth0", 2)
	g.expect("inside", vrrp.Master, vrrp.ReasonMasterDownTimer)
}

// TestGroupIsAdopted checks that both continue as master, regardless of the order in which their sockets open.
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

// TestGroupIsResumed checks that the successor of a speaker that was killed together with its director continues with the kept
// wanted state as the same group, which is master together and leaves together.
func TestGroupIsResumed(t *testing.T) {
	outside, inside := routerPair()
	for _, c := range []struct {
		name string
		end  func(g *rig) // of the successor
		want func(g *rig)
	}{
		{"until the grace time is over", func(g *rig) { g.advance(2 * time.Second) },
			func(g *rig) { g.expectBoth(vrrp.Leaving, vrrp.ReasonDirectorLost, vrrp.ReasonGroup) }},
		{"until a link fails", func(g *rig) { g.down("eth1", 3); g.advance(time.Second) },
			func(g *rig) { g.expectBoth(vrrp.Initialize, vrrp.ReasonGroupFault, vrrp.ReasonInterfaceDown) }},
		{"until a better router is heard by one", func(g *rig) { g.hear(inside, 200, "10.8.0.2") },
			func(g *rig) {
				g.expect("outside", vrrp.Leaving, vrrp.ReasonGroup)
				g.expect("inside", vrrp.Backup, vrrp.ReasonHigherPriority)
			}},
	} {
		t.Run(c.name, func(t *testing.T) {
			kept := keptIn(sharedMemory(t))
			former := newRig(t)
			former.engine.keep = func(w *vrrp.Wanted) {
				if err := kept.write(w); err != nil {
					t.Error(err)
				}
			}
			former.up("eth0", 2, "10.9.0.1/24")
			former.up("eth1", 3, "10.8.0.1/24")
			former.wantGroup("router", outside, inside)
			former.advance(time.Second)
			former.expectBoth(vrrp.Master, vrrp.ReasonGroup, vrrp.ReasonMasterDownTimer)

			g := newRig(t)
			g.now = former.now
			g.engine.tenures.records = former.engine.tenures.records
			g.engine.inherited = g.engine.tenures.take()
			g.up("eth0", 2, "10.9.0.1/24", "10.9.0.100/24")
			g.up("eth1", 3, "10.8.0.1/24", "10.8.0.100/24")
			w := keptIn(kept.file).read()
			if w == nil {
				t.Fatal("nothing is kept")
			}
			g.engine.resume(*w, g.now)
			g.settle()
			g.expectBoth(vrrp.Master, vrrp.ReasonAdopted, vrrp.ReasonAdopted)
			if got := g.status("inside").Group; got != "router" {
				t.Errorf("the group is %q", got)
			}
			c.end(g)
			g.settle()
			c.want(g)
		})
	}
}

// TestLargeGroup checks that the cost of a group grows linearly with its members, not quadratically.
func TestLargeGroup(t *testing.T) {
	g := newRig(t)
	g.quiet = true
	g.up("eth0", 2, "10.9.0.1/24")
	var all []vrrp.Instance
	for i := range 255 {
		in := v3(100)
		in.Name, in.VirtualRouterID = fmt.Sprint(i), uint8(i+1)
		in.Addresses = []vrrp.Address{{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 10, 0, byte(i)}), 24)}}
		in.TrackInterfaces = []vrrp.TrackInterface{{Interface: "eth1"}}
		all = append(all, in)
	}
	g.wantGroup("all", all...)
	g.up("eth1", 3)
	g.advance(time.Second)
	g.down("eth1", 3)
	for _, in := range all {
		if st := g.status(in.Name); st.State != vrrp.Leaving || len(st.Tracks) != 2 {
			t.Fatalf("%s: %s, tracks %+v", in.Name, st.State, st.Tracks)
		}
	}
}

// addSecond connects a and b with a second network.
func (n *lan) addSecond(t testing.TB) {
	t.Helper()
	second, err := n.lab.Bridge("br1")
	if err != nil {
		t.Fatal(err)
	}
	for i, h := range []*lab.Node{n.a, n.b} {
		nic := lab.NIC{Name: "eth1", Bridge: second, Addresses: lab.Prefixes([]string{"10.8.0.1/24", "10.8.0.2/24"}[i])}
		if err := h.Attach(nic); err != nil {
			t.Fatal(err)
		}
	}
}

func pairOf(priority uint8) []vrrp.Instance {
	outside, inside := routerPair()
	outside.Priority, inside.Priority = priority, priority
	return []vrrp.Instance{outside, inside}
}

func groupOf(priority uint8) vrrp.Wanted {
	w := vrrp.Wanted{DirectorGrace: time.Minute}
	for _, in := range pairOf(priority) {
		w.Instances = append(w.Instances, vrrp.WantedInstance{Instance: in, Group: "router"})
	}
	return w
}

// TestHostGroupLosesNothing takes the link of one member down and up again while a client sends requests to the other
// member's address every millisecond. Then the master stops.
func TestHostGroupLosesNothing(t *testing.T) {
	attempts(t, func(n *lan) error {
		n.addSecond(t)
		a, b := newStation(t, n.a), newStation(t, n.b)
		a.client.Set(groupOf(200))
		b.client.Set(groupOf(100))
		await := func(ofA, ofB vrrp.State) {
			t.Helper()
			for _, name := range []string{"outside", "inside"} {
				a.awaitState(name, ofA)
				b.awaitState(name, ofB)
			}
		}
		await(vrrp.Master, vrrp.Backup)
		p := startProber(t, n.observer, n.capture, netip.MustParseAddr("10.9.0.100"))
		p.awaitMore(t, 100)
		if err := n.a.Down("eth1"); err != nil {
			t.Fatal(err)
		}
		await(vrrp.Initialize, vrrp.Master)
		p.awaitMore(t, 300)
		if err := n.a.Up("eth1"); err != nil {
			t.Fatal(err)
		}
		await(vrrp.Master, vrrp.Backup)
		p.awaitMore(t, 300)
		a.stop()
		for _, name := range []string{"outside", "inside"} {
			b.awaitState(name, vrrp.Master)
		}
		p.awaitMore(t, 300)
		if lost, of, _ := n.capture.probes(); len(lost) > 0 {
			return fmt.Errorf("%d of %d requests were not answered, over %s", len(lost), of, lost[len(lost)-1].sent.Sub(lost[0].sent))
		}
		return nil
	})
}

// TestHostKeepalivedGroup uses a sync group on both sides: the failure of one link moves both instances, from either master.
func TestHostKeepalivedGroup(t *testing.T) {
	for _, c := range []struct {
		name         string
		ours, theirs uint8
	}{{"our master", 200, 100}, {"their master", 100, 200}} {
		t.Run(c.name, func(t *testing.T) {
			n := newLAN(t)
			n.addSecond(t)
			k := startKeepalivedWith(t, n.b, true, keepalivedConfig(pairOf(c.theirs))+
				"vrrp_sync_group router {\n group {\n outside\n inside\n }\n}\n")
			a := newStation(t, n.a)
			a.client.Set(groupOf(c.ours))
			addresses := map[string]string{"eth0": "10.9.0.100/24", "eth1": "10.8.0.100/24"}
			served := func(what string, by *lab.Node, ours vrrp.State) {
				t.Helper()
				a.awaitState("outside", ours)
				a.awaitState("inside", ours)
				eventually(t, what, func() bool {
					for iface, address := range addresses {
						if !has(t, by, iface, address) || has(t, map[*lab.Node]*lab.Node{n.a: n.b, n.b: n.a}[by], iface, address) {
							return false
						}
					}
					return true
				})
			}
			master, other, before, after := n.a, n.b, vrrp.Master, vrrp.Initialize
			if c.theirs > c.ours {
				master, other, before, after = n.b, n.a, vrrp.Backup, vrrp.Master
			}
			served("at first", master, before)
			for _, iface := range []string{"eth0", "eth1"} {
				if err := master.Down(iface); err != nil {
					t.Fatal(err)
				}
				served(iface+" down", other, after)
				if err := master.Up(iface); err != nil {
					t.Fatal(err)
				}
				served(iface+" up", master, before)
			}
			k.stop()
			k.checkLog()
		})
	}
}

// TestGroupIsPrepared checks that all members have their addresses before a takeover from an active master, and remove them
// if it does not take place.
func TestGroupIsPrepared(t *testing.T) {
	skew := vrrp.SkewTime(3, 100, v3(100).AdvertiseInterval)
	start := func(t *testing.T) (g *rig, outside, inside vrrp.Instance) {
		g = newRig(t)
		outside, inside = routerPair()
		g.up("eth0", 2, "10.9.0.1/24")
		g.up("eth1", 3, "10.8.0.1/24")
		g.wantGroup("router", outside, inside)
		g.hear(outside, 200, "10.9.0.2")
		g.hear(inside, 200, "10.8.0.2")
		g.advance(v3(100).AdvertiseInterval / 2)
		g.did()
		return g, outside, inside
	}
	t.Run("the master leaves on one interface", func(t *testing.T) {
		g, outside, _ := start(t)
		g.hear(outside, vrrp.PriorityResign, "10.9.0.2")
		g.advance(skew - vrrp.PrepareTime - 1)
		g.expectDid("")
		g.advance(vrrp.PrepareTime)
		g.expectDid("add, add")
		g.advance(1)
		g.expectDid("announce, advert 100, announce, advert 100")
		g.expectBoth(vrrp.Master, vrrp.ReasonPriorityZero, vrrp.ReasonGroup)
	})
	t.Run("the master stays", func(t *testing.T) {
		g, outside, inside := start(t)
		g.hear(outside, vrrp.PriorityResign, "10.9.0.2")
		g.advance(skew - vrrp.PrepareTime/2)
		g.expectDid("add, add")
		g.hear(outside, 200, "10.9.0.2")
		g.advance(2 * vrrp.PrepareTime)
		g.hear(inside, 200, "10.8.0.2")
		g.advance(handOverDelay)
		g.expectDid("remove, remove")
		g.expectBoth(vrrp.Backup, vrrp.ReasonStartup, vrrp.ReasonStartup)
	})
	t.Run("another member follows an active master", func(t *testing.T) {
		g, outside, inside := start(t)
		for range 10 {
			g.hear(outside, 50, "10.9.0.3")
			g.hear(inside, 200, "10.8.0.2")
			g.advance(v3(100).AdvertiseInterval)
		}
		g.expectDid("")
	})
	t.Run("a lower master is preempted", func(t *testing.T) {
		g, outside, inside := start(t)
		for range 4 {
			g.hear(outside, 50, "10.9.0.2")
			g.hear(inside, 50, "10.8.0.2")
			g.advance(v3(100).AdvertiseInterval)
		}
		g.expectDid("add, add, announce, advert 100, announce, advert 100")
	})
	t.Run("the group is dissolved", func(t *testing.T) {
		g, outside, inside := start(t)
		g.hear(outside, vrrp.PriorityResign, "10.9.0.2")
		g.advance(skew - vrrp.PrepareTime/2)
		g.expectDid("add, add")
		g.wantGroup("", outside, inside)
		g.advance(2 * vrrp.PrepareTime)
		g.expectDid("announce, advert 100, remove")
	})
}
