package speaker

import (
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// TestHostStartupDelay starts a single router. When its speaker is killed, the next one continues immediately.
func TestHostStartupDelay(t *testing.T) {
	n := newLAN(t)
	in := instance(3, vrrp.IPv4, 200, 100*time.Millisecond)
	in.StartupDelay = 3 * time.Second
	a := newStation(t, n.a)
	began := time.Now()
	a.want(in)
	s := n.capture.await(t, 0, "an advert", func(s seen) bool { return s.advert != nil })
	if after := s.at.Sub(began); after < in.StartupDelay {
		t.Errorf("first advert after %s", after)
	}
	a.awaitState("v", vrrp.Master)
	a.kill()
	a.start("adopt")
	a.await("v", "adopted", func(s vrrp.Status) bool { return s.Reason == string(vrrp.ReasonAdopted) })
}
