package speaker

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/lab"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// TestHostLeftovers checks that an instance's virtual addresses are found on their interfaces and removed, and that other
// addresses are kept.
func TestHostLeftovers(t *testing.T) {
	lab.Need(t, lab.Host)
	n := newSidewaysLAN(t)
	in := instance(3, vrrp.IPv4, 100, time.Second)
	in.Interface = "eth0"
	in.Addresses = []vrrp.Address{
		{Prefix: netip.MustParsePrefix("10.9.0.10/24")},
		{Prefix: netip.MustParsePrefix("10.9.0.11/24")},
		{Prefix: netip.MustParsePrefix("10.9.1.10/24"), Interface: "eth1"},
		{Prefix: netip.MustParsePrefix("10.9.2.11/24"), Interface: "eth9"},
	}
	for _, a := range [][2]string{
		{"10.9.0.10/24", "eth0"}, {"10.9.0.11/24", "eth0"}, {"10.9.0.12/24", "eth1"}, {"10.9.1.10/24", "eth1"}, {"10.9.2.11/24", "eth1"},
	} {
		ip(t, n.a, "address", "add", a[0], "dev", a[1])
	}
	var found []vrrp.Address
	var left []string
	err := n.a.Do(func() (err error) {
		if found, err = (Leftovers{}).Present([]vrrp.Instance{in}); err != nil {
			return err
		}
		if err := (Leftovers{}).Remove(found); err != nil {
			return err
		}
		return withAddresses(func(_ *kernelAddresses, interfaces map[string]netInterface) error {
			for _, name := range []string{"eth0", "eth1"} {
				for _, a := range interfaces[name].Addresses {
					if a.Prefix.Addr().Is4() {
						left = append(left, name+" "+a.Prefix.Addr().String())
					}
				}
			}
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != 3 || found[0].Interface != "eth0" || found[2].Interface != "eth1" {
		t.Errorf("found %v", found)
	}
	if want := []string{"eth0 10.9.0.1", "eth1 10.9.0.12", "eth1 10.9.2.11"}; !slices.Equal(left, want) {
		t.Errorf("left %q, want %q", left, want)
	}
}
