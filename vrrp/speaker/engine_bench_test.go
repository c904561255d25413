package speaker

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// BenchmarkReceive measures a backup's processing of an advert, without the kernel, with 255 instances.
func BenchmarkReceive(b *testing.B) { withoutAndWith(b, benchmarkReceive) }

func benchmarkReceive(b *testing.B, record func(*rig)) {
	g, instances := crowd(b, record)
	w := g.engine.wires[socketKey{Interface: "eth0", Family: vrrp.IPv4}]
	var packets []datagram
	for _, in := range instances {
		packets = append(packets, g.datagram(in, 200, "10.9.0.2"))
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		g.now = g.now.Add(400 * time.Microsecond)
		g.engine.receive(w, packets[i%len(packets)], g.now)
		i++
	}
}

// BenchmarkMasterTimer measures a master's processing of an advert, without the kernel, with 255 instances.
func BenchmarkMasterTimer(b *testing.B) { withoutAndWith(b, benchmarkMasterTimer) }

func benchmarkMasterTimer(b *testing.B, record func(*rig)) {
	g, _ := crowd(b, record)
	g.advance(time.Second)
	g.quiet = true
	g.advance(30 * time.Second)
	b.ReportAllocs()
	for b.Loop() {
		g.now = g.engine.timers.next()
		g.engine.timers.fire(g.now)
	}
}

func crowd(b *testing.B, record func(*rig)) (*rig, []vrrp.Instance) {
	g := newRig(b)
	record(g)
	g.up("eth0", 2, "10.9.0.1/24")
	instances := fullHouse(100, 100*time.Millisecond)
	g.want(instances...)
	return g, instances
}

// BenchmarkReceiveForgedLists measures the most expensive advert: each packet lists a different set of as many addresses as
// the instance has, of which only the last is wrong.
func BenchmarkReceiveForgedLists(b *testing.B) {
	g := newRig(b)
	g.quiet = true
	g.up("eth0", 2, "10.8.0.1/16")
	in := v3(100)
	in.Addresses = nil
	for i := range 255 {
		in.Addresses = append(in.Addresses, vrrp.Address{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 9, 0, byte(i)}), 16)})
	}
	g.want(in)
	packets := make([]datagram, 2)
	for i := range packets {
		forged := in
		forged.Addresses = slices.Clone(in.Addresses)
		slices.Reverse(forged.Addresses)
		forged.Addresses[0].Prefix = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 10, 0, byte(i)}), 16)
		packets[i] = g.datagram(forged, 200, "10.8.0.2")
	}
	w := g.engine.wires[socketKey{Interface: "eth0", Family: vrrp.IPv4}]
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		g.engine.receive(w, packets[i%2], g.now)
		i++
	}
}
