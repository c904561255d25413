package speaker

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// bare returns an instance without its addresses.
func bare(in vrrp.Instance) vrrp.Instance {
	in.Addresses = nil
	return in
}

// withExcluded adds an excluded address.
func withExcluded(in vrrp.Instance) vrrp.Instance {
	p := in.Addresses[0].Prefix
	in.Addresses = append(slices.Clone(in.Addresses), vrrp.Address{Prefix: netip.PrefixFrom(p.Addr().Next(), p.Bits()), Excluded: true})
	return in
}

// TestHostNoAddress runs a pair without virtual addresses, as in a cloud: mastership still moves, and survives a kill of the
// speaker.
func TestHostNoAddress(t *testing.T) {
	for _, f := range []vrrp.Family{vrrp.IPv4, vrrp.IPv6} {
		t.Run(f.String(), func(t *testing.T) {
			attempts(t, func(n *lan) error { return moveNothing(t, n, f) })
		})
	}
}

func moveNothing(t *testing.T, n *lan, f vrrp.Family) error {
	master, backup := bare(instance(3, f, 200, 100*time.Millisecond)), bare(instance(3, f, 100, 100*time.Millisecond))
	before := prefixes(t, n.a, "eth0")
	a, b := newStation(t, n.a), newStation(t, n.b)
	a.want(master)
	a.awaitState("v", vrrp.Master)
	b.want(backup)
	b.await("v", "backup of a", func(s vrrp.Status) bool { return s.State == vrrp.Backup && s.MasterPriority == 200 })
	s := n.capture.await(t, n.capture.mark(), "an advert", func(s seen) bool { return s.advert != nil })
	if len(s.advert.Addresses) > 0 {
		t.Errorf("advertised %v", s.advert.Addresses)
	}
	states := len(b.transitions())
	a.kill()
	a.start("adopt")
	a.await("v", "adopted", func(s vrrp.Status) bool { return s.State == vrrp.Master && s.Reason == string(vrrp.ReasonAdopted) })
	b.report("v", "any", func(vrrp.Status) bool { return true })
	if got := b.transitions(); len(got) != states {
		return fmt.Errorf("the peer went through %v when the speaker was killed", got)
	}
	a.stop()
	if st := b.awaitState("v", vrrp.Master); st.Reason != string(vrrp.ReasonPriorityZero) {
		return fmt.Errorf("b became master for reason %q", st.Reason)
	}
	a.start("fresh")
	a.awaitState("v", vrrp.Master)
	b.awaitState("v", vrrp.Backup)
	a.kill()
	if st := b.awaitState("v", vrrp.Master); st.Reason != string(vrrp.ReasonMasterDownTimer) {
		return fmt.Errorf("b became master for reason %q", st.Reason)
	}
	if got := prefixes(t, n.a, "eth0"); !slices.Equal(got, before) {
		t.Errorf("addresses %v, before %v", got, before)
	}
	return nil
}

// TestHostExcludedAddress uses an address that is excluded from adverts.
func TestHostExcludedAddress(t *testing.T) {
	for _, f := range []vrrp.Family{vrrp.IPv4, vrrp.IPv6} {
		t.Run(f.String(), func(t *testing.T) {
			n := newLAN(t)
			in := withExcluded(instance(3, f, 200, 100*time.Millisecond))
			first, excluded := in.Addresses[0].Prefix, in.Addresses[1].Prefix
			a, b := newStation(t, n.a), newStation(t, n.b)
			a.want(in)
			a.awaitState("v", vrrp.Master)
			peer := in
			peer.Priority = 100
			b.want(peer)
			b.await("v", "backup of a", func(s vrrp.Status) bool { return s.State == vrrp.Backup && s.MasterPriority == 200 })
			s := n.capture.await(t, 0, "an advert", func(s seen) bool { return s.advert != nil })
			if !slices.Equal(s.advert.Addresses, []netip.Addr{first.Addr()}) {
				t.Errorf("advertised %v", s.advert.Addresses)
			}
			mark := n.capture.mark()
			a.stop()
			macB := macOf(t, n.b, "eth0")
			n.capture.await(t, mark, "b's announcement", func(s seen) bool { return s.announc == excluded.Addr() && s.mac == macB })
			eventually(t, "b has both addresses", func() bool {
				return has(t, n.b, "eth0", first.String()) && has(t, n.b, "eth0", excluded.String())
			})
			if has(t, n.a, "eth0", first.String()) || has(t, n.a, "eth0", excluded.String()) {
				t.Error("a still has an address")
			}
			if st := b.report("v", "any", func(vrrp.Status) bool { return true }); st.AddressMismatches > 0 || len(st.Dropped) > 0 {
				t.Errorf("mismatches %d, dropped %v", st.AddressMismatches, st.Dropped)
			}
		})
	}
}

// TestHostKeepalivedUnadvertised uses keepalived as the peer, with the same excluded address, and with none.
func TestHostKeepalivedUnadvertised(t *testing.T) {
	for name, change := range map[string]func(vrrp.Instance) vrrp.Instance{"none": bare, "excluded": withExcluded} {
		t.Run(name, func(t *testing.T) {
			n := newLAN(t)
			k := startKeepalived(t, n.b, true, change(instance(2, vrrp.IPv4, 200, time.Second)))
			k.awaitLog(`\(v\) Entering MASTER STATE`, 1)
			a := newStation(t, n.a)
			a.want(change(instance(2, vrrp.IPv4, 100, time.Second)))
			a.await("v", "backup of keepalived", func(s vrrp.Status) bool { return s.State == vrrp.Backup && s.MasterPriority == 200 })
			k.stop()
			a.awaitState("v", vrrp.Master)
			k = startKeepalived(t, n.b, true, change(instance(2, vrrp.IPv4, 50, time.Second)))
			k.awaitLog(`\(v\) Entering BACKUP STATE`, 1)
			a.stop()
			k.awaitLog(`\(v\) Entering MASTER STATE`, 1)
		})
	}
}
