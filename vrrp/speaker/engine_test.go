package speaker

import (
	"fmt"
	"net"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

const centisecond = 10 * time.Millisecond

func v3(priority uint8) vrrp.Instance {
	return instance(3, vrrp.IPv4, priority, 100*time.Millisecond)
}

func TestTakeOverAndYield(t *testing.T) {
	g := newRig(t)
	g.up("eth0", 2, "10.9.0.1/24")
	g.want(v3(100))
	g.expect("v", vrrp.Backup, vrrp.ReasonStartup)
	g.expectDid("silence")

	g.advance(361 * time.Millisecond)
	g.expect("v", vrrp.Master, vrrp.ReasonMasterDownTimer)
	g.expectDid("add, advert 100, announce")
	g.advance(100 * time.Millisecond)
	g.expectDid("advert 100")

	g.advance(50 * time.Millisecond)
	g.hear(v3(50), 50, "10.9.0.2")
	g.expectDid("repeat, advert 100")
	g.hear(v3(50), 50, "10.9.0.2")
	g.expectDid("")

	g.hear(v3(200), 200, "10.9.0.2")
	g.expectDid("advert 100")
	g.advance(handOverDelay - 1)
	g.expectDid("")
	g.advance(1)
	g.expectDid("remove, silence")
	g.expect("v", vrrp.Backup, vrrp.ReasonHigherPriority)

	g.hear(v3(200), 0, "10.9.0.2")
	g.advance(61 * time.Millisecond)
	g.expectDid("add, announce, advert 100")
	g.expect("v", vrrp.Master, vrrp.ReasonPriorityZero)
}

// TestSlowKernel checks a hand-over whose addresses take half a second: the advert waits for them, and only one of the
// adverts that became due meanwhile is sent.
func TestSlowKernel(t *testing.T) {
	g := newRig(t)
	g.up("eth0", 2, "10.9.0.1/24")
	g.want(v3(100))
	g.hear(v3(200), 200, "10.9.0.2")
	g.hear(v3(200), 0, "10.9.0.2")
	g.did()
	g.holding = true
	g.engine.takeChanged(g.now)
	g.advance(500 * time.Millisecond)
	g.expectDid("")
	if changed := g.engine.takeChanged(g.now); len(changed) != 0 {
		t.Errorf("reported %v before the addresses were present", changed)
	}
	g.holding = false
	g.finish()
	g.settle()
	g.expectDid("add, announce, advert 100, advert 100")
	if changed := g.engine.takeChanged(g.now); len(changed) != 1 || changed[0].State != vrrp.Master {
		t.Errorf("reported %v", changed)
	}
}

func TestConditions(t *testing.T) {
	g := newRig(t)
	g.want(v3(100))
	g.expect("v", vrrp.Initialize, vrrp.ReasonInterfaceMissing)
	g.down("eth0", 2)
	g.expect("v", vrrp.Initialize, vrrp.ReasonInterfaceDown)

	g.refuse = errRefused
	g.up("eth0", 2)
	g.expect("v", vrrp.Initialize, vrrp.ReasonSocket)
	g.refuse = nil
	g.advance(openRetryFirst)
	g.expect("v", vrrp.Initialize, vrrp.ReasonNoAddress)
	g.up("eth0", 2, "10.9.0.100/24")
	g.expect("v", vrrp.Initialize, vrrp.ReasonNoAddress) // it is the virtual address
	g.up("eth0", 2, "10.9.0.100/24", "10.9.0.1/24")
	g.expect("v", vrrp.Backup, vrrp.ReasonStartup)

	g.up("eth0", 3, "10.9.0.1/24") // recreated
	if g.closed != 1 || g.opened[len(g.opened)-1].Index != 3 {
		t.Errorf("sockets closed: %d, opened: %v", g.closed, g.opened)
	}
	g.expect("v", vrrp.Backup, vrrp.ReasonStartup)
	g.advance(time.Second)
	g.did()
	g.down("eth0", 3)
	g.expectDid("remove, silence")
	g.expect("v", vrrp.Initialize, vrrp.ReasonInterfaceDown)
	g.engine.setInterface(netInterface{Name: "eth0"}, g.now)
	g.expect("v", vrrp.Initialize, vrrp.ReasonInterfaceMissing)
}

func TestSocketBackoff(t *testing.T) {
	g := newRig(t)
	g.refuse = errRefused
	g.up("eth0", 2, "10.9.0.1/24")
	g.want(v3(100))
	g.advance(time.Minute)
	if n := len(g.opened); n < 15 || n > 25 {
		t.Errorf("%d attempts in a minute", n)
	}
	g.refuse = nil
	g.advance(openRetryMost)
	w := g.engine.wires[socketKey{Interface: "eth0", Family: vrrp.IPv4}]
	if w.socket == nil || w.backoff != 0 {
		t.Fatalf("wire after the cause is gone: %+v", w)
	}
	g.engine.broken(w, errRefused, g.now)
	g.expect("v", vrrp.Initialize, vrrp.ReasonSocket)
	g.advance(openRetryFirst)
	g.expect("v", vrrp.Backup, vrrp.ReasonStartup)
}

func TestSourceAddress(t *testing.T) {
	g := newRig(t)
	g.engine.interfaces["lo"] = netInterface{Index: 1, Name: "lo", Up: true, Addresses: []ifAddress{usable("192.0.2.1/32")}}
	ifc := netInterface{Index: 2, Name: "eth0", Up: true, Addresses: []ifAddress{
		usable("10.9.0.100/24"), usable("fd09::1/64"), usable("10.9.0.6/24"), usable("10.9.0.7/24"), usable("10.9.0.8/24"),
		{Prefix: netip.MustParsePrefix("fe80::1/64")}, usable("fe80::2/64"),
	}}
	g.engine.countVirtual(&vrrp.Instance{Addresses: v3(1).Addresses}, 1)
	g.engine.static.wanted.Addresses = []vrrp.Address{{Prefix: netip.MustParsePrefix("10.9.0.6/24")}, {Prefix: netip.MustParsePrefix("fd09::1/64")}}
	six := instance(3, vrrp.IPv6, 100, centisecond)
	sixUnicast, sixLocal, chosen, absent := six, six, v3(100), v3(100)
	sixUnicast.UnicastPeers = []netip.Addr{netip.MustParseAddr("fd09::2")}
	sixLocal.UnicastPeers = []netip.Addr{netip.MustParseAddr("fe80::9")}
	chosen.SourceAddress = netip.MustParseAddr("192.0.2.1")
	absent.SourceAddress = netip.MustParseAddr("192.0.2.2")
	for _, c := range []struct {
		name string
		in   vrrp.Instance
		want string
	}{
		{"the first that is neither virtual nor static", v3(100), "10.9.0.7"},
		{"link-local, done with its detection", six, "fe80::2"},
		{"global for a global peer, though static", sixUnicast, "fd09::1"},
		{"link-local for a link-local peer", sixLocal, "fe80::2"},
		{"as configured, wherever it is", chosen, "192.0.2.1"},
		{"configured and nowhere", absent, "invalid IP"},
	} {
		g.engine.interfaces["eth0"] = ifc
		if got := g.engine.sourceOf(newRouter(c.in, nil), ifc); got.String() != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestTracks(t *testing.T) {
	in := v3(100)
	in.TrackInterfaces = []vrrp.TrackInterface{{Interface: "down", Weight: -30}, {Interface: "up", Weight: 20}, {Interface: "fault"}}
	g := newRig(t)
	g.up("eth0", 2, "10.9.0.1/24")
	g.want(in)
	g.expect("v", vrrp.Initialize, vrrp.ReasonTrack)
	for _, c := range []struct {
		what string
		do   func()
		want uint8
	}{
		{"fault is up", func() { g.up("fault", 3) }, 70},
		{"up is up", func() { g.up("up", 4) }, 90},
		{"down is up", func() { g.up("down", 5) }, 120},
		{"up is down", func() { g.down("up", 4) }, 100},
	} {
		c.do()
		if got := g.status("v").EffectivePriority; got != c.want {
			t.Errorf("%s: priority %d, want %d", c.what, got, c.want)
		}
		g.expect("v", vrrp.Backup, vrrp.ReasonStartup)
	}
	w := vrrp.Wanted{Instances: []vrrp.WantedInstance{{Instance: in, Tracks: []vrrp.Track{
		{Name: "file", Effect: vrrp.EffectOffset, Offset: -50},
		{Name: "sync", Effect: vrrp.EffectHold, Reason: "learning"},
	}}}}
	g.engine.setWanted(w, g.now)
	if got := g.status("v").EffectivePriority; got != 50 {
		t.Errorf("with the director's offset: priority %d, want 50", got)
	}
	g.hear(v3(10), 10, "10.9.0.2")
	if got := g.status("v").PreemptHeld; got != "learning" {
		t.Errorf("preemption held because of %q", got)
	}
	g.advance(time.Second)
	g.did()
	g.down("fault", 3)
	g.expectDid("silence, advert 0") // the link works: a clean hand-over
	g.expect("v", vrrp.Leaving, vrrp.ReasonTrack)
}

// TestAdoption checks a speaker that finds the addresses left by a previous one.
func TestAdoption(t *testing.T) {
	vip := "10.9.0.100/24"
	second := vrrp.Address{Prefix: netip.MustParsePrefix("10.9.0.101/24")}
	all, half := []string{"10.9.0.1/24", vip, "10.9.0.101/24"}, []string{"10.9.0.1/24", vip}
	in := v3(200)
	in.Addresses = append(in.Addresses, second)
	interval := in.AdvertiseInterval
	for _, c := range []struct {
		name      string
		end       func(g *rig) // of the previous speaker
		silent    time.Duration
		addresses []string
		slow      time.Duration // until the socket is open
		state     vrrp.State
		did       string
	}{
		{"after a crash", nil, 0, all, 0, vrrp.Master, "advert 200, add, announce"},
		{"with half of the addresses", nil, 0, half, 0, vrrp.Backup, "remove, silence"},
		{"in time", nil, 3*interval - time.Millisecond, all, 0, vrrp.Master, "advert 200, add, announce"},
		{"after a hang", nil, 3*interval + time.Millisecond, all, 0, vrrp.Backup, "silence"},
		{"after a long hang", nil, 6 * time.Second, all, 0, vrrp.Backup, "silence"},
		{"too slow a start", nil, 0, all, 4 * interval, vrrp.Backup, "silence, silence"},
		{"leftovers of a backup", func(g *rig) { g.hear(in, 250, "10.9.0.2") }, 0, all, 0, vrrp.Backup, "silence"},
		{"killed while it left", func(g *rig) { g.engine.stop(g.now); g.settle() }, 0, all, 0, vrrp.Backup, "silence"},
		{"no longer wanted", func(g *rig) { g.want() }, 0, all, 0, vrrp.Backup, "silence"},
	} {
		t.Run(c.name, func(t *testing.T) {
			former := newRig(t)
			former.up("eth0", 2, "10.9.0.1/24")
			former.want(in)
			former.advance(time.Second)
			former.expect("v", vrrp.Master, vrrp.ReasonMasterDownTimer)
			next := former.engine.timers.next()
			former.now = next
			former.engine.timers.fire(next) // an advert
			former.settle()
			if c.end != nil {
				c.end(former)
			}

			g := newRig(t)
			g.now = former.now.Add(c.silent)
			g.engine.tenures.records = former.engine.tenures.records
			g.engine.inherited = g.engine.tenures.take()
			g.up("eth0", 2, c.addresses...)
			if c.slow > 0 {
				g.refuse = errRefused
			}
			g.want(in)
			g.now = g.now.Add(c.slow)
			g.refuse = nil
			g.engine.timers.fire(g.now)
			g.settle()
			if got := g.status("v").State; got != c.state {
				t.Errorf("state %s, want %s", got, c.state)
			}
			g.expectDid(c.did)
			if g.engine.inherited != nil {
				t.Error("it would adopt what a later configuration wants")
			}
		})
	}
}

// TestTenures checks that all records can be allocated and freed, and that a second speaker reads what the first wrote.
func TestTenures(t *testing.T) {
	f, err := NewTenures()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	first, err := mapTenures(f)
	if err != nil {
		t.Fatal(err)
	}
	key := func(i int) routerKey {
		return routerKey{fmt.Sprintf("interface-%05d", i/255), vrrp.IPv6, uint8(1 + i%255)}
	}
	const routers = tenureRecords + 100
	var records [routers]*tenureRecord
	for i := range routers {
		records[i] = first.begin(key(i))
	}
	for i := range 1000 {
		first.extend(records[i], time.Hour)
		first.end(records[i])
		records[i] = nil
	}
	for i := range 100 {
		records[i] = first.begin(key(i))
	}
	for i := range routers {
		first.extend(records[i], time.Hour)
	}
	second, err := mapTenures(f)
	if err != nil {
		t.Fatal(err)
	}
	left := second.take()
	if n := len(left); n != tenureRecords-900 || left[key(50)] == 0 || left[key(500)] != 0 || left[key(2000)] == 0 || left[key(routers-1)] != 0 {
		t.Errorf("%d tenures read, not the right ones", n)
	}
	if again := second.take(); len(again) != 0 {
		t.Errorf("%d tenures are left", len(again))
	}
}

func TestNewHardwareAddress(t *testing.T) {
	g := newRig(t)
	g.up("eth0", 2, "10.9.0.1/24")
	g.want(v3(200))
	g.advance(time.Second)
	g.did()
	ifc := g.engine.interfaces["eth0"]
	ifc.Hardware = net.HardwareAddr{2, 0, 0, 0, 0, 9}
	g.engine.setInterface(ifc, g.now)
	g.expectDid("repeat")
	g.engine.setInterface(ifc, g.now)
	g.expectDid("")
}

func TestRemoveAndReturn(t *testing.T) {
	g := newRig(t)
	g.up("eth0", 2, "10.9.0.1/24")
	g.want(v3(200))
	g.advance(time.Second)
	g.did()
	g.want()
	g.expectDid("silence, advert 0")
	g.expect("v", vrrp.Leaving, vrrp.ReasonRemoved)
	g.want(v3(150)) // back before it has left
	g.hear(v3(100), 100, "10.9.0.2")
	g.advance(handOverDelay)
	g.expectDid("remove, silence, silence")
	if st := g.status("v"); st.Priority != 150 || st.State != vrrp.Backup {
		t.Errorf("after its return: %+v", st)
	}
	g.want()
	if len(g.engine.routers) != 0 || len(g.engine.wires) != 0 || g.closed == 0 || len(g.engine.virtual) != 0 {
		t.Errorf("left behind: routers %v, wires %v, virtual addresses %v", g.engine.routers, g.engine.wires, g.engine.virtual)
	}
	if next := g.engine.timers.next(); !next.IsZero() {
		t.Errorf("a timer is left for %s", next)
	}
}

func TestRenamedInstanceStays(t *testing.T) {
	g := newRig(t)
	g.up("eth0", 2, "10.9.0.1/24")
	g.want(v3(200))
	g.advance(time.Second)
	g.did()
	in := v3(200)
	in.Name = "other"
	g.want(in)
	g.expectDid("")
	g.expect("other", vrrp.Master, vrrp.ReasonMasterDownTimer)
}

func TestRefusedInstances(t *testing.T) {
	g := newRig(t)
	g.up("eth0", 2, "10.9.0.1/24")
	bad, twin := v3(100), v3(100)
	bad.Name, bad.VirtualRouterID, bad.AdvertiseInterval = "bad", 9, time.Millisecond
	twin.Name = "twin"
	g.want(v3(100), bad, twin)
	if len(g.engine.routers) != 1 || len(g.engine.rejected) != 2 {
		t.Errorf("routers %v, refused %v", g.engine.routers, g.engine.rejected)
	}
	g.want(v3(100))
	if len(g.engine.rejected) != 0 {
		t.Errorf("still refused: %v", g.engine.rejected)
	}
}

func TestStop(t *testing.T) {
	g := newRig(t)
	g.up("eth0", 2, "10.9.0.1/24")
	other := v3(50)
	other.Name, other.VirtualRouterID = "other", 52
	g.want(v3(200), other)
	g.hear(other, 100, "10.9.0.2")
	g.advance(362 * time.Millisecond)
	g.hear(other, 100, "10.9.0.2")
	g.did()
	g.engine.stop(g.now)
	if g.engine.stopped() {
		t.Fatal("stopped with a master that has just said priority 0")
	}
	g.holding = true
	g.advance(vrrp.MaxFinalLeave)
	if g.engine.stopped() {
		t.Fatal("stopped with addresses on the interface")
	}
	g.finish()
	g.settle()
	if !g.engine.stopped() {
		t.Errorf("not stopped: %+v", g.engine.statuses(g.now))
	}
	g.want(v3(200))
	g.up("eth0", 3, "10.9.0.1/24")
	g.expect("v", vrrp.Initialize, vrrp.ReasonResignStop)
}

func TestDrops(t *testing.T) {
	g := newRig(t)
	g.up("eth0", 2, "10.9.0.1/24")
	g.want(v3(100))
	w := g.engine.wires[socketKey{Interface: "eth0", Family: vrrp.IPv4}]
	unknown, other := v3(100), v3(100)
	unknown.VirtualRouterID = 99
	other.Addresses = []vrrp.Address{{Prefix: netip.MustParsePrefix("10.9.0.99/24")}}
	for _, d := range []datagram{
		{Truncated: true},
		{Data: []byte{0x31}},
		{Data: []byte{0x31, 51, 1}},
		g.datagram(unknown, 100, "10.9.0.2"),
		g.datagram(v3(100), 100, "10.9.0.1"),
	} {
		g.engine.receive(w, d, g.now)
	}
	ttl := g.datagram(v3(100), 100, "10.9.0.2")
	ttl.TTL = 3
	g.engine.receive(w, ttl, g.now)
	for range 3 {
		g.hear(other, 200, "10.9.0.2")
	}
	st := g.status("v")
	for reason, want := range map[vrrp.DropReason]uint64{vrrp.DropTruncated: 1, vrrp.DropOwnPacket: 1, vrrp.DropTTL: 1} {
		if got := st.Dropped[reason.String()]; got != want {
			t.Errorf("%s: %d, want %d", reason, got, want)
		}
	}
	for reason, want := range map[vrrp.DropReason]uint64{vrrp.DropTruncated: 2, vrrp.DropVRIDUnknown: 1} {
		if got := st.InterfaceDropped[reason.String()]; got != want {
			t.Errorf("on the interface, %s: %d, want %d", reason, got, want)
		}
	}
	if st.AdvertsReceived != 3 || st.AddressMismatches != 3 {
		t.Errorf("received %d, with other addresses %d", st.AdvertsReceived, st.AddressMismatches)
	}
	g.down("eth0", 2)
	g.engine.receive(w, g.datagram(v3(100), 100, "10.9.0.2"), g.now)
	if after := g.status("v"); !reflect.DeepEqual(after.Counters, st.Counters) {
		t.Errorf("an advert to an instance that is out of service was counted: %+v, before %+v", after.Counters, st.Counters)
	}
}

// TestHotPathAllocatesNothing checks that sending and receiving an advert, as in BenchmarkReceive and BenchmarkMasterTimer,
// does not allocate.
func TestHotPathAllocatesNothing(t *testing.T) { withoutAndWith(t, hotPathAllocatesNothing) }

func hotPathAllocatesNothing(t *testing.T, record func(*rig)) {
	g := newRig(t)
	record(g)
	g.up("eth0", 2, "10.9.0.1/24")
	g.want(v3(100))
	w := g.engine.wires[socketKey{Interface: "eth0", Family: vrrp.IPv4}]
	d := g.datagram(v3(200), 200, "10.9.0.2")
	g.engine.receive(w, d, g.now)
	g.quiet = true
	if n := testing.AllocsPerRun(100, func() {
		g.now = g.now.Add(100 * time.Millisecond)
		g.engine.receive(w, d, g.now)
	}); n != 0 {
		t.Errorf("receiving an advert allocates %v times", n)
	}
	g.advance(10 * time.Second)
	if n := testing.AllocsPerRun(100, func() {
		g.now = g.engine.timers.next()
		g.engine.timers.fire(g.now)
	}); n != 0 {
		t.Errorf("sending an advert allocates %v times", n)
	}
}
