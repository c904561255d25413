package speaker

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// fullHouse uses every virtual router ID of a network.
func fullHouse(priority uint8, interval time.Duration) (out []vrrp.Instance) {
	for id := 1; id <= 255; id++ {
		in := instance(3, vrrp.IPv4, priority, interval)
		in.Name, in.VirtualRouterID = fmt.Sprintf("v%d", id), uint8(id)
		in.Addresses = []vrrp.Address{{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 10, 0, byte(id)}), 32)}}
		out = append(out, in)
	}
	return out
}

// TestHostTimedFullHouse makes 255 masters fail over at the same time.
func TestHostTimedFullHouse(t *testing.T) {
	attempts(t, func(n *lan) error {
		a, b := newStation(t, n.a), newStation(t, n.b)
		a.want(fullHouse(200, 100*time.Millisecond)...)
		for id := 1; id <= 255; id++ {
			a.awaitState(fmt.Sprintf("v%d", id), vrrp.Master)
		}
		b.want(fullHouse(100, 100*time.Millisecond)...)
		for id := 1; id <= 255; id++ {
			b.await(fmt.Sprintf("v%d", id), "backup of a", func(s vrrp.Status) bool { return s.State == vrrp.Backup && s.MasterPriority == 200 })
		}
		mark := n.capture.mark()
		a.kill()
		for id := 1; id <= 255; id++ {
			b.awaitState(fmt.Sprintf("v%d", id), vrrp.Master)
		}
		macB, adverts, announced := macOf(t, n.b, "eth0"), map[uint8]bool{}, map[netip.Addr]bool{}
		var first, last time.Time
		n.capture.await(t, mark, "all of b's announcements", func(s seen) bool {
			if s.mac != macB {
				return false
			}
			if first.IsZero() {
				first = s.at
			}
			if s.advert != nil {
				adverts[s.advert.VirtualRouterID] = true
			}
			if s.arpOp != 0 {
				announced[s.announc] = true
			}
			last = s.at
			return len(adverts) == 255 && len(announced) == 255
		})
		t.Logf("255 routers taken over, first advert to last announcement: %s", last.Sub(first))
		for id := 1; id <= 255; id++ {
			if st := b.status(fmt.Sprintf("v%d", id)); st.Transitions != 1 {
				return fmt.Errorf("b has become master %d times: %+v", st.Transitions, st)
			}
		}
		if got := len(prefixes(t, n.b, "eth0")); got < 255 {
			return fmt.Errorf("b has %d addresses", got)
		}
		return nil
	})
}
