package speaker

import (
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// A master whose interface is renamed hands over to its peer and removes its address, because the configuration identifies
// interfaces by name. It returns when the interface gets its name back.
func TestHostInterfaceRenamed(t *testing.T) {
	for _, f := range []vrrp.Family{vrrp.IPv4, vrrp.IPv6} {
		t.Run(f.String(), func(t *testing.T) {
			n := newLAN(t)
			a, b := pair(t, n, f, 100*time.Millisecond)
			vip := instance(3, f, 200, 100*time.Millisecond).Addresses[0].Prefix.String()
			for range 2 {
				ip(t, n.a, "link", "set", "dev", "eth0", "name", "wan")
				a.await("v", "without its interface", func(s vrrp.Status) bool { return s.Reason == string(vrrp.ReasonInterfaceMissing) })
				eventually(t, "the address is gone", func() bool { return !has(t, n.a, "wan", vip) })
				b.awaitState("v", vrrp.Master)
				ip(t, n.a, "link", "set", "dev", "wan", "name", "eth0")
				a.awaitState("v", vrrp.Master)
				eventually(t, "the address is back", func() bool { return has(t, n.a, "eth0", vip) })
				b.awaitState("v", vrrp.Backup)
			}
		})
	}
}
