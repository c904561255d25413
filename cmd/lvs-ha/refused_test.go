package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/lab"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// sixth is an instance with an IPv6 address.
const sixth = `
vrrp "sixth" {
  interface          = "eth0"
  virtual_router_id  = 6
  advertise_interval = "100ms"
  priority           = %d
  address "fd09::100/64" { interface = %q }
}
`

// TestHostAddressRemovedByTheKernel disables IPv6 externally on the master's interface: the peer takes over and status shows the
// reason. When IPv6 is enabled again, the master resumes automatically.
func TestHostAddressRemovedByTheKernel(t *testing.T) {
	lab.Need(t, lab.Host)
	for _, tt := range []struct{ device, says string }{
		{"eth1", "virtual address refused, retrying: fd09::100/64 on eth1: add address: permission denied: " +
			"IPv6 is disabled on the interface: sysctl net.ipv6.conf.eth1.disable_ipv6=0\n"},
		{"eth0", string(vrrp.ReasonNoAddress) + "\n"}, // there is also no source address for adverts
	} {
		t.Run(tt.device, func(t *testing.T) {
			places := newPlaces(t, 2)
			var daemons []*daemon
			for i, p := range places {
				for _, args := range [][]string{{"link", "add", "eth1", "type", "veth", "peer", "far1"}, {"link", "set", "far1", "up"}, {"link", "set", "eth1", "up"}} {
					if got := p.run(append([]string{"ip"}, args...)...); got.status != 0 {
						t.Fatalf("ip %q: %s", args, got.stderr)
					}
				}
				p.configure(fmt.Sprintf(sixth, 200-100*i, tt.device))
				daemons = append(daemons, p.start())
			}
			better, other := daemons[0], daemons[1]
			has := func(d *daemon) bool {
				return strings.Contains(d.run("ip", "-6", "-o", "address", "show", "dev", tt.device).stdout, "fd09::100/64")
			}
			ipv6 := func(off string) {
				key := "net.ipv6.conf." + tt.device + ".disable_ipv6="
				if got := better.run("sysctl", "-q", key+off); got.status != 0 {
					t.Fatal(got.stderr)
				}
			}
			isBackup := func(s api.Status) bool { return len(s.VRRP) == 1 && s.VRRP[0].State == vrrp.Backup }
			better.awaitStatus("master", isMaster)
			other.awaitStatus("backup", isBackup)

			ipv6("1")
			other.awaitStatus("master", isMaster)
			eventually(t, "the peer has the address", func() bool { return has(other) })
			better.awaitStatus("out of it", func(s api.Status) bool { return len(s.VRRP) == 1 && s.VRRP[0].State == vrrp.Initialize })
			better.wantAnswer(better.asked("status"), 2, tt.says)

			ipv6("0")
			better.awaitStatus("master", isMaster)
			other.awaitStatus("backup", isBackup)
			eventually(t, "the address is where it was", func() bool { return has(better) && !has(other) })
			if text := better.asked("status").stdout; strings.Contains(text, "refused") {
				t.Errorf("after the remedy:\n%s", text)
			}
		})
	}
}
