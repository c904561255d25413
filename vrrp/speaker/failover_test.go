package speaker

import (
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// TestHostFailover checks that a backup takes over from a killed master, and yields when the master is back.
func TestHostFailover(t *testing.T) {
	for _, c := range []struct {
		version  uint8
		family   vrrp.Family
		interval time.Duration
	}{
		{2, vrrp.IPv4, time.Second},
		{3, vrrp.IPv4, 100 * time.Millisecond},
		{3, vrrp.IPv6, 100 * time.Millisecond},
		{3, vrrp.IPv4, 10 * time.Millisecond},
		{3, vrrp.IPv6, 10 * time.Millisecond},
	} {
		t.Run(label(c.version, c.family, c.interval), func(t *testing.T) {
			n := newLAN(t)
			master, backup := instance(c.version, c.family, 200, c.interval), instance(c.version, c.family, 100, c.interval)
			vip := master.Addresses[0].Prefix
			a, b := newStation(t, n.a), newStation(t, n.b)
			a.want(master)
			a.awaitState("v", vrrp.Master)
			b.want(backup)
			b.await("v", "backup of a", func(s vrrp.Status) bool { return s.State == vrrp.Backup && s.MasterPriority == 200 })

			macA, macB := macOf(t, n.a, "eth0"), macOf(t, n.b, "eth0")
			a.kill()
			mark := n.capture.mark()
			first := n.capture.await(t, mark, "b's advert", func(s seen) bool { return s.advert != nil && s.mac == macB })
			n.capture.await(t, mark, "b's announcement", func(s seen) bool { return s.announc == vip.Addr() && s.mac == macB })
			var last time.Time
			for _, s := range n.capture.all() {
				if s.advert != nil && s.mac == macA {
					last = s.at
				}
			}
			formula := vrrp.MasterDownInterval(c.version, 100, c.interval)
			t.Logf("last advert of a to first of b: %s; the formula says %s", first.at.Sub(last), formula)
			st := b.awaitState("v", vrrp.Master)
			if st.Reason != string(vrrp.ReasonMasterDownTimer) {
				t.Errorf("became master for reason %q", st.Reason)
			}
			eventually(t, "b has the address", func() bool { return has(t, n.b, "eth0", vip.String()) })

			// The killed speaker left its address behind; the new one listens first, and then preempts.
			a.start("fresh")
			a.awaitState("v", vrrp.Master)
			b.awaitState("v", vrrp.Backup)
			eventually(t, "b has given the address up", func() bool { return !has(t, n.b, "eth0", vip.String()) })
			eventually(t, "a has the address", func() bool { return has(t, n.a, "eth0", vip.String()) })
		})
	}
}
