package speaker

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// TestPrepared checks that a takeover from an active master has its addresses before its time. Only few addresses are
// announced by the loop.
func TestPrepared(t *testing.T) {
	many := func(n int) vrrp.Instance {
		in := v3(100)
		in.Addresses = nil
		for i := range n {
			in.Addresses = append(in.Addresses, vrrp.Address{Prefix: netip.MustParsePrefix(fmt.Sprintf("10.9.1.%d/32", i))})
		}
		return in
	}
	v6 := v3(100)
	v6.Family = vrrp.IPv6
	v6.Addresses = []vrrp.Address{{Prefix: netip.MustParsePrefix("fe80::100/64")}}
	for name, c := range map[string]struct {
		in     vrrp.Instance
		from   string
		direct int
	}{
		"one address":        {v3(100), "10.9.0.2", 1},
		"few addresses":      {many(directMost), "10.9.0.2", directMost},
		"too many addresses": {many(directMost + 1), "10.9.0.2", 0},
		"IPv6":               {v6, "fe80::2", 1},
	} {
		t.Run(name, func(t *testing.T) {
			g := newRig(t)
			g.up("eth0", 2, "10.9.0.1/24", "fe80::1/64")
			g.want(c.in)
			g.hear(c.in, 200, c.from)
			g.hear(c.in, vrrp.PriorityResign, c.from)
			g.did()
			skew := vrrp.SkewTime(3, 100, c.in.AdvertiseInterval)
			g.advance(skew - vrrp.PrepareTime - 1)
			g.expectDid("")
			g.advance(vrrp.PrepareTime)
			g.expectDid("add")
			g.advance(1)
			g.expectDid("announce, advert 100")
			if g.direct != c.direct {
				t.Errorf("the loop announced %d addresses, want %d", g.direct, c.direct)
			}
		})
	}
}

// TestPreparedTooLate checks that a takeover waits for its addresses.
func TestPreparedTooLate(t *testing.T) {
	g := newRig(t)
	g.up("eth0", 2, "10.9.0.1/24")
	g.want(v3(100))
	g.hear(v3(200), 200, "10.9.0.2")
	g.hear(v3(200), vrrp.PriorityResign, "10.9.0.2")
	g.did()
	g.holding = true
	g.advance(vrrp.SkewTime(3, 100, v3(100).AdvertiseInterval))
	g.expectDid("")
	g.holding = false
	g.finish()
	g.settle()
	g.expectDid("add, announce, advert 100")
}

// TestSilentMasterIsReplaced checks that the addresses are added before the advert, which does not wait for a slow kernel.
func TestSilentMasterIsReplaced(t *testing.T) {
	for name, slow := range map[string]bool{"in time": false, "slow kernel": true} {
		t.Run(name, func(t *testing.T) {
			g := newRig(t)
			g.up("eth0", 2, "10.9.0.1/24")
			g.want(v3(100))
			g.hear(v3(200), 200, "10.9.0.2")
			g.did()
			g.holding = slow
			before, after := "add", "advert 100, announce"
			if slow {
				before, after = "", "advert 100"
			}
			g.advance(vrrp.MasterDownInterval(3, 100, v3(100).AdvertiseInterval) - 1)
			g.expectDid(before)
			g.advance(1)
			g.expectDid(after)
			if slow {
				g.holding = false
				g.finish()
				g.settle()
				g.expectDid("add, announce")
			}
			g.expect("v", vrrp.Master, vrrp.ReasonMasterDownTimer)
		})
	}
}

// TestPreparedInVain checks that the addresses are removed if the master stays.
func TestPreparedInVain(t *testing.T) {
	g := newRig(t)
	g.up("eth0", 2, "10.9.0.1/24")
	g.want(v3(100))
	g.hear(v3(200), 200, "10.9.0.2")
	g.hear(v3(200), vrrp.PriorityResign, "10.9.0.2")
	g.did()
	g.advance(vrrp.SkewTime(3, 100, v3(100).AdvertiseInterval) - vrrp.PrepareTime/2)
	g.hear(v3(200), 200, "10.9.0.2")
	g.advance(handOverDelay)
	g.expectDid("add, remove")
	g.expect("v", vrrp.Backup, vrrp.ReasonStartup)
	g.advance(vrrp.MasterDownInterval(3, 100, v3(100).AdvertiseInterval))
	g.expectDid("add, advert 100, announce")
}
