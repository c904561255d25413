package speaker

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// TestHostAnnounceLimit counts the announcements of a master with many addresses per time, on the wire: no more than the
// limits allow, each address twice with ARP and once with neighbour advertisements, and adverts in between. A virtual MAC
// address shares the limit of its interface. keepalived has the same settings, for comparison.
func TestHostAnnounceLimit(t *testing.T) {
	const arp, na, interval, addresses = 5 * time.Millisecond, 10 * time.Millisecond, 100 * time.Millisecond, 60
	n := newLAN(t)
	instances := func(net byte) []vrrp.Instance {
		v4, v6 := instance(3, vrrp.IPv4, 200, interval), instance(3, vrrp.IPv6, 200, interval)
		v6.Name = "v6"
		for i := range addresses {
			v4.Addresses = append(v4.Addresses, vrrp.Address{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 9, net, byte(i)}), 32), Excluded: true})
			v6.Addresses = append(v6.Addresses, vrrp.Address{Prefix: netip.MustParsePrefix(fmt.Sprintf("fd09::%d:%d/64", net, i+1)), Excluded: true})
		}
		virtual := instance(3, vrrp.IPv4, 200, interval)
		virtual.Name, virtual.VirtualRouterID, virtual.VMAC = "virtual", net, &vrrp.VMAC{Interface: "vmac"}
		virtual.Addresses = []vrrp.Address{{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 9, net, 201}), 32)}}
		all := []vrrp.Instance{v4, v6, virtual}
		for i := range all {
			all[i].Announce = vrrp.Announce{Count: 1}
			all[i].VirtualRouterID += net
		}
		return all
	}
	sent := startCapture(t, n.a, "eth0") // by a busy host, the observer's frames are stamped late
	a := newStation(t, n.a)
	w := vrrp.Wanted{AnnounceLimits: []vrrp.AnnounceLimit{{Interfaces: []string{"eth0", "other"}, ARPInterval: arp, NAInterval: na}}}
	for _, in := range instances(1) {
		w.Instances = append(w.Instances, vrrp.WantedInstance{Instance: in})
	}
	a.client.Set(w)
	startKeepalivedWith(t, n.b, false, keepalivedConfig(instances(2))+
		fmt.Sprintf("garp_group {\n garp_interval %g\n gna_interval %g\n interface eth0\n}\n", arp.Seconds(), na.Seconds()))

	for _, c := range []struct {
		host    string
		capture *capture
		net     byte
		packets int // of each IPv4 address at least
	}{{"lvs-ha", sent, 1, 2}, {"keepalived", n.capture, 2, 1}} {
		ours := func(address netip.Addr) bool {
			b := address.As16()
			return address.Is4() && b[14] == c.net || address.Is6() && b[13] == c.net
		}
		count := func() (arps, nas []seen) {
			for _, f := range c.capture.all() {
				switch {
				case !ours(f.announc):
				case f.arpOp != 0:
					arps = append(arps, f)
				case f.na != nil:
					nas = append(nas, f)
				}
			}
			return arps, nas
		}
		complete := func(list []seen, addresses, packets int) bool {
			times := map[netip.Addr]int{}
			for _, f := range list {
				times[f.announc]++
			}
			full := 0
			for _, n := range times {
				if n >= packets {
					full++
				}
			}
			return full >= addresses
		}
		eventually(t, c.host+" has announced all addresses", func() bool {
			arps, nas := count()
			return complete(arps, addresses+1, c.packets) && complete(nas, addresses, 1)
		})
		arps, nas := count()
		for _, kind := range []struct {
			name     string
			packets  []seen
			interval time.Duration
		}{{"ARP", arps, arp}, {"neighbour advertisements", nas, na}} {
			first, last := kind.packets[0].at, kind.packets[len(kind.packets)-1].at
			took, least := last.Sub(first), time.Duration(len(kind.packets)-1)*kind.interval
			t.Logf("%s sent %d %s in %s: one every %s, set %s", c.host, len(kind.packets), kind.name, took.Round(time.Millisecond),
				(took / time.Duration(len(kind.packets)-1)).Round(time.Microsecond), kind.interval)
			if c.host != "lvs-ha" {
				continue
			}
			if took < least-2*kind.interval { // the first may have been sent late
				t.Errorf("%d %s in %s, faster than one every %s", len(kind.packets), kind.name, took, kind.interval)
			}
			if !slices.ContainsFunc(c.capture.all(), func(f seen) bool {
				return f.advert != nil && f.mac == macOf(t, n.a, "eth0") && f.at.After(first) && f.at.Before(last)
			}) {
				t.Errorf("no advert while %s were sent", kind.name)
			}
		}
	}
}
