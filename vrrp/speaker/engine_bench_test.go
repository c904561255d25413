package speaker

import (
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// BenchmarkReceive is a backup's way of an advert, without the kernel, among 255 instances.
func BenchmarkReceive(b *testing.B) {
	g, instances := crowd(b)
	w := g.engine.wires[socketKey{"eth0", vrrp.IPv4}]
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

// BenchmarkMasterTimer is a master's way of an advert, without the kernel, among 255 instances.
func BenchmarkMasterTimer(b *testing.B) {
	g, _ := crowd(b)
	g.advance(time.Second)
	g.quiet = true
	g.advance(30 * time.Second)
	b.ReportAllocs()
	for b.Loop() {
		g.now = g.engine.timers.next()
		g.engine.timers.fire(g.now)
	}
}

func crowd(b *testing.B) (*rig, []vrrp.Instance) {
	g := newRig(b)
	g.up("eth0", 2, "10.9.0.1/24")
	instances := fullHouse(100, 100*time.Millisecond)
	g.want(instances...)
	return g, instances
}
