package speaker

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// published passes a macvlan to the engine.
func (g *rig) published(name string, index int, up bool, addresses ...string) {
	ifc := netInterface{Index: index, Name: name, Up: up, Hardware: net.HardwareAddr{0, 0, 0x5e, 0, 1, 51}, Below: 2}
	for _, a := range addresses {
		ifc.Addresses = append(ifc.Addresses, usable(a))
	}
	g.engine.setInterface(ifc, g.now)
	g.settle()
}

// vmacRig returns a rig with an instance that has a virtual MAC address, whose macvlan the kernel has just created.
func vmacRig(t *testing.T, change func(*vrrp.Instance)) (*rig, vrrp.Instance) {
	t.Helper()
	g := newRig(t)
	in := instance(3, vrrp.IPv4, 100, time.Second)
	in.VMAC = &vrrp.VMAC{Interface: "vrrp.51"}
	change(&in)
	g.up("eth0", 2, "10.9.0.1/24")
	g.macvlan = 7
	g.want(in)
	g.expectDid("prepare vrrp.51")
	g.expect("v", vrrp.Initialize, vrrp.ReasonStart)
	g.published("vrrp.51", 7, false)
	g.expect("v", vrrp.Backup, vrrp.ReasonStartup)
	g.did()
	return g, in
}

var vmacKey = socketKey{Interface: "vrrp.51", Family: vrrp.IPv4, From: [6]byte{0, 0, 0x5e, 0, 1, 51}}

// TestVMACSenders checks that only a master sends from the virtual MAC address.
func TestVMACSenders(t *testing.T) {
	g, in := vmacRig(t, func(*vrrp.Instance) {})
	g.advance(4 * time.Second)
	g.published("vrrp.51", 7, true)
	g.expect("v", vrrp.Master, vrrp.ReasonMasterDownTimer)
	// Nobody has the addresses, so the advert is first, when the macvlan is still down.
	g.expectDid("advert 100 from the virtual MAC, add, announce")
	g.advance(time.Second)
	g.expectDid("advert 100 from the virtual MAC")
	if want := (placed{"vrrp.51", in.Addresses[0].Prefix}); !slices.Equal(g.watched[keyOf(&in)], []placed{{"eth0", want.Prefix}}) {
		t.Errorf("watched %v", g.watched)
	}
	// A better master sends from the virtual MAC address, which arrives on the macvlan.
	d := g.datagram(in, 200, "10.9.0.2")
	g.engine.receive(g.engine.wires[vmacKey], d, g.now)
	g.settle()
	g.expect("v", vrrp.Backup, vrrp.ReasonHigherPriority)
	g.expectDid("advert 100, remove, silence")
	g.published("vrrp.51", 7, false)
	if g.engine.wires[vmacKey] != nil {
		t.Error("the macvlan's socket is still open")
	}
	// The leaving master still serves.
	g.advance(5 * time.Second)
	g.published("vrrp.51", 7, true)
	g.did()
	g.engine.stop(g.now)
	g.settle()
	if did := g.did(); !strings.HasPrefix(did, "silence, advert 0 from the virtual MAC") && !strings.HasPrefix(did, "advert 0 from the virtual MAC") {
		t.Errorf("did %q", did)
	}
}

func TestVMACTransmitsFromBase(t *testing.T) {
	g, in := vmacRig(t, func(in *vrrp.Instance) { in.VMAC.XmitBase = true })
	g.advance(5 * time.Second)
	g.expectDid("advert 100, add, announce, advert 100")
	g.published("vrrp.51", 7, true)
	changed := *in.VMAC
	changed.XmitBase = false
	in.VMAC = &changed
	g.want(in)
	g.advance(time.Second)
	g.expectDid("advert 100 from the virtual MAC")
	g.expect("v", vrrp.Master, vrrp.ReasonMasterDownTimer)
}

// TestVMACRefused checks that a macvlan that cannot be created is a fault, and that it is tried again.
func TestVMACRefused(t *testing.T) {
	g := newRig(t)
	g.noMacvlan = errors.New("busy")
	in := instance(3, vrrp.IPv4, 100, time.Second)
	in.VMAC = &vrrp.VMAC{Interface: "vrrp.51"}
	g.up("eth0", 2, "10.9.0.1/24")
	g.want(in)
	g.expect("v", vrrp.Initialize, vrrp.ReasonVMAC)
	if s := g.status("v"); s.VMAC == nil || s.VMAC.Problem != "busy" || s.VMAC.Hardware != "00:00:5e:00:01:33" {
		t.Errorf("status %+v", s.VMAC)
	}
	g.did()
	g.advance(10 * time.Second)
	g.expectDid("prepare vrrp.51, prepare vrrp.51, prepare vrrp.51") // after 1, 3 and 7 s
	g.noMacvlan, g.macvlan = nil, 7
	g.advance(lastRetry)
	g.published("vrrp.51", 7, false)
	g.expect("v", vrrp.Backup, vrrp.ReasonStartup)
	if s := g.status("v"); s.VMAC.Problem != "" {
		t.Errorf("problem %q", s.VMAC.Problem)
	}
}

// TestVMACLost checks that a master whose macvlan is deleted remains master while it is created again.
func TestVMACLost(t *testing.T) {
	g, _ := vmacRig(t, func(*vrrp.Instance) {})
	g.advance(5 * time.Second)
	g.did()
	g.macvlan = 8
	g.down("vrrp.51", 0)
	g.expectDid("prepare vrrp.51")
	g.expect("v", vrrp.Master, vrrp.ReasonMasterDownTimer)
	g.published("vrrp.51", 8, false)
	g.expect("v", vrrp.Master, vrrp.ReasonMasterDownTimer)
	g.down("eth0", 0)
	g.expect("v", vrrp.Initialize, vrrp.ReasonInterfaceMissing)
}

// TestVMACChanged adds the block to a running instance, renames its interface, and passes the name to another instance.
func TestVMACChanged(t *testing.T) {
	g, in := vmacRig(t, func(*vrrp.Instance) {})
	in.VMAC = &vrrp.VMAC{Interface: "vrrp.new"}
	g.want(in)
	g.expectDid("silence, discard vrrp.51, prepare vrrp.new")
	g.published("vrrp.new", 7, false)
	g.advance(5 * time.Second)
	g.published("vrrp.new", 7, true)
	g.expect("v", vrrp.Master, vrrp.ReasonMasterDownTimer)
	g.did()

	// The leaving master keeps the interface until it has left.
	other := in
	other.VirtualRouterID, other.Name = 52, "w"
	g.want(other)
	g.expectDid("silence, advert 0 from the virtual MAC")
	g.advance(2 * time.Second)
	g.expectDid("advert 0 from the virtual MAC, remove, silence, discard vrrp.new, prepare vrrp.new, silence")
	other.VMAC = nil
	g.want(other)
	g.expectDid("silence, discard vrrp.new, silence")
}

func TestMacvlanAlias(t *testing.T) {
	base, a, ok := formerSettings(aliasOf("eth0.7", arpSettings{1, 2}))
	if base != "eth0.7" || a != (arpSettings{1, 2}) || !ok {
		t.Errorf("%s %+v %t", base, a, ok)
	}
	for _, foreign := range []string{"", "uplink", "lvs-ha", "lvs-ha: eth0"} {
		if _, _, ok := formerSettings(foreign); ok {
			t.Errorf("%q is recognized", foreign)
		}
	}
	if !isVirtualMAC(net.HardwareAddr{0, 0, 0x5e, 0, 2, 9}) || isVirtualMAC(net.HardwareAddr{0, 0, 0x5e, 1, 2, 9}) || isVirtualMAC(nil) {
		t.Error("virtual MAC addresses are not recognized")
	}
}

// TestRefusedPackets checks which addresses the packet filter gets, and when.
func TestRefusedPackets(t *testing.T) {
	g := newRig(t)
	var got [][]netip.Addr
	g.engine.refusePackets = func(a []netip.Addr) { got = append(got, a) }
	g.up("eth0", 2, "10.9.0.1/24")
	in := instance(3, vrrp.IPv4, 100, time.Second)
	in.VMAC = &vrrp.VMAC{Interface: "vrrp.51", NoAccept: true}
	owner := in
	owner.Name, owner.VirtualRouterID, owner.Priority = "owner", 52, vrrp.PriorityOwner
	owner.VMAC = &vrrp.VMAC{Interface: "vrrp.52", NoAccept: true}
	owner.Addresses = []vrrp.Address{{Prefix: netip.MustParsePrefix("10.9.0.7/24")}}
	g.want(in, owner)
	g.want(in, owner)
	g.engine.setAccepting("no nftables")
	if s := g.status("v"); s.VMAC.Problem != "no nftables" || g.status("owner").VMAC.Problem != "" {
		t.Errorf("problems %q and %q", s.VMAC.Problem, g.status("owner").VMAC.Problem)
	}
	g.want(owner)
	if len(got) != 2 || !slices.Equal(got[0], []netip.Addr{in.Addresses[0].Prefix.Addr()}) || len(got[1]) != 0 {
		t.Errorf("refused %v", got)
	}
}

// fakeLinks records changes of macvlans, each with the addresses that the interface has then.
type fakeLinks struct {
	kernel *fakeKernel
	trace  []string
}

func (l *fakeLinks) note(format string, args ...any) {
	l.trace = append(l.trace, fmt.Sprintf(format, args...)+" with ["+l.kernel.get(2)+"]")
}

func (l *fakeLinks) Prepare(macvlan) (int, error)       { return 2, nil }
func (l *fakeLinks) Discard(string) error               { return nil }
func (l *fakeLinks) Sweep(map[string]bool) error        { return nil }
func (l *fakeLinks) Forward(name string, on bool) error { l.note("forward %t", on); return nil }
func (l *fakeLinks) Set(_ int, up bool, mac net.HardwareAddr) error {
	l.note("up %t %s", up, mac)
	return nil
}

// TestKeeperMacvlan checks the order in which a macvlan is set up and down and gets addresses.
func TestKeeperMacvlan(t *testing.T) {
	for _, c := range []struct {
		address vrrp.Address
		want    []string
	}{
		{vrrp.Address{Prefix: vip1.Prefix, Interface: "vrrp.51"}, []string{
			"up true 00:00:5e:00:01:33 with []", "up false  with []",
		}},
		{vrrp.Address{Prefix: vip6.Prefix, Interface: "vrrp.51"}, []string{
			"forward false with []", "up true 00:00:5e:00:02:33 with []", "forward true with [fd09::100/64]", "up false  with [fd09::100/64]",
		}},
	} {
		withKeeper(t, func(t *testing.T, g *keeperRig) {
			l := &fakeLinks{kernel: g.kernel}
			g.keeper.links = l
			g.links["vrrp.51"] = netInterface{Index: 2, Name: "vrrp.51"}
			key := keyA
			if c.address.Prefix.Addr().Is6() {
				key.Family = vrrp.IPv6
			}
			h := &holder{key: key, vmac: "vrrp.51"}
			all := []vrrp.Address{c.address}
			g.do(h, vrrp.AddAddresses{Addresses: all}, vrrp.SendAnnouncements{Addresses: all})
			if len(g.bursts) != 1 || g.bursts[0].rounds != 3+len(vmacRounds) {
				t.Errorf("announced %+v", g.bursts)
			}
			g.do(h, vrrp.RemoveAddresses{Addresses: all})
			if !slices.Equal(l.trace, c.want) || g.kernel.get(2) != "" {
				t.Errorf("did %q, want %q; left %q", l.trace, c.want, g.kernel.get(2))
			}
		})
	}
}

// TestKeeperRestoresMacvlan checks that a macvlan that another program has changed is repaired while it has addresses, and
// keeps them if only some are removed.
func TestKeeperRestoresMacvlan(t *testing.T) {
	withKeeper(t, func(t *testing.T, g *keeperRig) {
		l := &fakeLinks{kernel: g.kernel}
		g.keeper.links = l
		h := &holder{key: keyA, vmac: "vrrp.51"}
		g.links["vrrp.51"] = netInterface{Index: 2, Name: "vrrp.51", Up: true, Hardware: h.mac()}
		first, second := vrrp.Address{Prefix: vip1.Prefix, Interface: "vrrp.51"}, vrrp.Address{Prefix: vip2.Prefix, Interface: "vrrp.51"}
		g.do(h, vrrp.AddAddresses{Addresses: []vrrp.Address{first, second}})
		g.do(h, vrrp.RemoveAddresses{Addresses: []vrrp.Address{second}})
		g.requestCheck()
		time.Sleep(checkInterval / 2) // between two regular checks
		synctest.Wait()
		l.trace = nil
		g.links["vrrp.51"] = netInterface{Index: 2, Name: "vrrp.51", Up: true, Hardware: net.HardwareAddr{2, 0, 0, 0, 0, 7}}
		g.requestCheck()
		synctest.Wait()
		if want := []string{"up true 00:00:5e:00:01:33 with [10.9.0.100/24]"}; !slices.Equal(slices.Compact(l.trace), want) {
			t.Errorf("did %q, want %q", l.trace, want)
		}
	})
}

// TestVMACLeftUp checks that a router hears a master with the same MAC address while its macvlan is still up, with the
// addresses of a killed speaker.
func TestVMACLeftUp(t *testing.T) {
	g := newRig(t)
	in := instance(3, vrrp.IPv4, 200, time.Second)
	in.VMAC, in.Preempt = &vrrp.VMAC{Interface: "vrrp.51"}, false
	g.up("eth0", 2, "10.9.0.1/24")
	g.macvlan = 7
	g.published("vrrp.51", 7, true, "10.9.0.100/24")
	g.want(in)
	g.expect("v", vrrp.Backup, vrrp.ReasonStartup)
	w := g.engine.wires[vmacKey]
	if w == nil || w.socket == nil {
		t.Fatal("the macvlan's socket is not open")
	}
	g.did()
	g.engine.receive(w, g.datagram(in, 100, "10.9.0.2"), g.now)
	g.settle()
	g.expectDid("remove")
	g.published("vrrp.51", 7, false)
	if g.engine.wires[vmacKey] != nil {
		t.Error("the macvlan's socket is still open")
	}
}
