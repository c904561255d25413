package vrrp

import (
	"testing"
	"time"
)

// reportAdverts reports the number of adverts that one core processes in a second.
func reportAdverts(b *testing.B) {
	b.ReportAllocs()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "adverts/s")
}

func BenchmarkMarshal(b *testing.B) {
	for _, p := range readPackets(b) {
		a := goldenAdverts[p.name]
		buf := make([]byte, 0, MaxPacketLen)
		b.Run(p.name, func(b *testing.B) {
			for b.Loop() {
				if _, err := a.Append(buf, p.env.Source, p.env.Destination); err != nil {
					b.Fatal(err)
				}
			}
			reportAdverts(b)
		})
	}
}

func BenchmarkParse(b *testing.B) {
	for _, p := range readPackets(b) {
		var a Advert
		b.Run(p.name, func(b *testing.B) {
			for b.Loop() {
				if r := Parse(p.wire, p.env, &a); r != NotDropped {
					b.Fatal(r)
				}
			}
			reportAdverts(b)
		})
	}
}

// BenchmarkReceive measures a backup's processing of an advert, without the socket.
func BenchmarkReceive(b *testing.B) {
	p := golden(b, "keepalived-v3")
	in := v3(func(in *Instance) { in.VirtualRouterID = 31 })
	m := NewMachine(in)
	now := epoch
	m.Step(up, now)
	var a Advert
	for b.Loop() {
		now = now.Add(10 * time.Millisecond)
		if r := Parse(p.wire, p.env, &a); r != NotDropped {
			b.Fatal(r)
		}
		if r := in.Check(&a, p.env, ours); r != NotDropped {
			b.Fatal(r)
		}
		m.Step(Received{Source: p.env.Source, Priority: a.Priority, Interval: a.Interval}, now)
		m.Deadline()
	}
	if m.State() != Backup {
		b.Fatalf("the backup became %s", m.State())
	}
	reportAdverts(b)
}

// BenchmarkStep measures the master's machine for each advert sent.
func BenchmarkStep(b *testing.B) {
	m := NewMachine(v3())
	m.Step(up, epoch)
	for b.Loop() {
		due, _ := m.Deadline()
		m.Step(Timeout{}, due)
	}
	if m.State() != Master {
		b.Fatalf("the master became %s", m.State())
	}
	reportAdverts(b)
}
