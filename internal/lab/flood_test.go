package lab

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// TestGarbageIsInvalid decodes forged adverts with the codec: each is invalid in its own way.
func TestGarbageIsInvalid(t *testing.T) {
	source, address := netip.MustParseAddr("10.0.0.66"), netip.MustParseAddr("10.0.0.100")
	type outcome struct {
		drop          vrrp.DropReason
		ttl           uint8
		vrid, prio, n int
	}
	want := []outcome{
		{vrrp.NotDropped, 255, 204, 0, 1},
		{vrrp.NotDropped, 3, 51, 1, 1},
		{vrrp.DropChecksum, 255, 0, 0, 0},
		{vrrp.NotDropped, 255, 51, 1, 1},
		{vrrp.NotDropped, 255, 51, 1, 1},
		{vrrp.NotDropped, 255, 51, 1, 3},
	}
	var got []outcome
	for _, p := range Garbage(source, 51, address, 100*time.Millisecond) {
		var a vrrp.Advert
		o := outcome{ttl: p[8]}
		o.drop = vrrp.Parse(p[20:], vrrp.Envelope{Source: source, Destination: netip.AddrFrom4([4]byte(p[16:20])), HopLimit: p[8]}, &a)
		if o.drop == vrrp.NotDropped {
			o.vrid, o.prio, o.n = int(a.VirtualRouterID), int(a.Priority), len(a.Addresses)
		}
		got = append(got, o)
	}
	if !slices.Equal(got, want) {
		t.Errorf("the garbage is %+v, want %+v", got, want)
	}
}
