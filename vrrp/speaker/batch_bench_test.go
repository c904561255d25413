package speaker

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// BenchmarkHostBatch sets and removes 100 addresses and 20 routes, in one system call or one by one.
func BenchmarkHostBatch(b *testing.B) {
	n := buildLAN(b)
	link, err := n.a.Link("eth0")
	if err != nil {
		b.Fatal(err)
	}
	index := link.Attrs().Index
	var places []placement
	for i := range 100 {
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 9, 1, byte(i + 1)}), 32)
		places = append(places, placement{index, vrrp.Address{Prefix: p}})
	}
	var entries []entry
	for i := range 20 {
		r := vrrp.Route{Destination: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 10, byte(i), 0}), 24), Via: netip.MustParseAddr("10.9.0.9")}
		entries = append(entries, entry{route: &r})
	}
	for _, size := range []int{len(places), 1} {
		b.Run(fmt.Sprintf("%d at once", size), func(b *testing.B) {
			err := n.a.Do(func() error {
				k, err := newKernelAddresses()
				if err != nil {
					return err
				}
				defer k.Close()
				routing := &kernelRouting{batch: k.handle.(routeHandle).batch}
				for b.Loop() {
					for i := 0; i < len(places); i += size {
						if err := k.Add(places[i : i+size])[0]; err != nil {
							return err
						}
					}
					for i := 0; i < len(entries); i += size {
						if err := routing.Set(entries[i:min(i+size, len(entries))])[0]; err != nil {
							return err
						}
					}
					b.StopTimer()
					if err := routing.Unset(entries); err != nil {
						return err
					}
					for _, p := range places {
						if err := k.Remove(p.index, p.address); err != nil {
							return err
						}
					}
					b.StartTimer()
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
		})
	}
}
