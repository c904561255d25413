package speaker

import (
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// TestHostTimedReload changes all settings of a running master that may change, with 10 ms adverts. The backup must not change
// its state.
func TestHostTimedReload(t *testing.T) {
	attempts(t, func(n *lan) error { return reload(t, n) })
}

func reload(t *testing.T, n *lan) error {
	a, b := pair(t, n, vrrp.IPv4, 10*time.Millisecond)
	before := len(b.transitions())
	in := instance(3, vrrp.IPv4, 200, 10*time.Millisecond)
	for i := range 20 {
		in.Name = []string{"v", "renamed"}[i%2]
		in.Priority = uint8(200 + i)
		in.Addresses = nil
		for j := range 1 + i%3 {
			in.Addresses = append(in.Addresses, vrrp.Address{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 9, 0, byte(100 + j)}), 24)})
		}
		other := instance(3, vrrp.IPv6, 150, 20*time.Millisecond)
		other.Name = "other"
		if i%2 == 0 {
			a.want(in, other)
		} else {
			a.want(in)
		}
		st := a.report(in.Name, "as wanted", func(s vrrp.Status) bool { return s.Priority == in.Priority })
		if st.State != vrrp.Master || st.Transitions != 1 {
			return fmt.Errorf("round %d: %+v", i, st)
		}
		for j := range 3 {
			addr := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 9, 0, byte(100 + j)}), 24).String()
			eventually(t, "the address list is as wanted", func() bool { return has(t, n.a, "eth0", addr) == (j <= i%3) })
		}
	}
	b.report("v", "backup", func(s vrrp.Status) bool { return s.State == vrrp.Backup })
	if got := b.transitions(); len(got) != before {
		return fmt.Errorf("the backup went through %v", got)
	}
	eventually(t, "the removed instance's address is gone", func() bool { return !has(t, n.a, "eth0", "fd09::100/64") })
	a.report("renamed", "master alone", func(s vrrp.Status) bool { return s.State == vrrp.Master })
	return nil
}

// TestHostMissingCapability checks that the missing capability is reported and that the instance does not start.
func TestHostMissingCapability(t *testing.T) {
	n := newLAN(t)
	setpriv, err := exec.LookPath("setpriv")
	if err != nil {
		t.Fatalf("setpriv is not installed: install util-linux: %v", err)
	}
	for _, c := range []struct{ drop, want, log string }{
		{"net_raw", string(vrrp.ReasonSocket), "give the process CAP_NET_RAW"},
		{"net_admin", string(vrrp.ReasonAddressRefused), "give the process CAP_NET_ADMIN"},
		{"sys_nice", "", "give the process CAP_SYS_NICE"},
		{"ipc_lock", "", "give the process CAP_IPC_LOCK"},
	} {
		t.Run(c.drop, func(t *testing.T) {
			s := newStationBy(t, n.a, setpriv, "--bounding-set=-"+c.drop, "--")
			s.want(instance(3, vrrp.IPv4, 200, 100*time.Millisecond))
			s.await("v", "as far as it gets", func(st vrrp.Status) bool {
				if c.want == "" {
					return st.State == vrrp.Master
				}
				return st.State == vrrp.Initialize && st.Reason == c.want
			})
			eventually(t, "the log names the capability", func() bool { return strings.Contains(s.log.String(), c.log) })
			if got := strings.Count(s.log.String(), c.log); got != 1 {
				t.Errorf("the log says it %d times:\n%s", got, s.log.String())
			}
			s.stop()
		})
	}
}
