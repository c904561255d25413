package speaker

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// TestReportsAreComplete checks that the statuses that change and the counters of reports give a director, at any time, what all statuses
// would.
func TestReportsAreComplete(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		g := newRig(t)
		g.quiet = true
		known := map[string]vrrp.Status{}
		hear := func() {
			statuses, counters := g.engine.report(g.now)
			for _, s := range append(statuses, g.engine.takeChanged(g.now)...) {
				known[s.Name] = s
			}
			for name, c := range counters {
				s := known[name]
				s.Counters = c
				known[name] = s
			}
		}
		in := func() vrrp.Instance {
			in := v3(100)
			if rapid.Bool().Draw(rt, "second") {
				in.Name, in.VirtualRouterID = "w", in.VirtualRouterID+1
			}
			return in
		}
		priority := rapid.SampledFrom([]uint8{0, 50, 100, 150, 255})
		g.up("eth0", 2, "10.9.0.1/24")
		g.want(v3(100))
		rt.Repeat(map[string]func(*rapid.T){
			"want": func(rt *rapid.T) {
				var list []vrrp.WantedInstance
				for id := range rapid.IntRange(0, 2).Draw(rt, "instances") {
					in := v3(rapid.SampledFrom([]uint8{100, 120}).Draw(rt, "own priority"))
					if id > 0 {
						in.Name, in.VirtualRouterID = "w", in.VirtualRouterID+1
					}
					in.Preempt = rapid.Bool().Draw(rt, "preempt")
					w := vrrp.WantedInstance{Instance: in}
					effect := rapid.SampledFrom([]vrrp.Effect{"", vrrp.EffectOffset, vrrp.EffectHold, vrrp.EffectFault, vrrp.EffectLastResort}).Draw(rt, "effect")
					w.Tracks = []vrrp.Track{{Name: "t", Kind: vrrp.TrackScript, Effect: effect, Offset: -30, Pending: rapid.Bool().Draw(rt, "pending")}}
					list = append(list, w)
				}
				g.engine.setWanted(vrrp.Wanted{Instances: list, DirectorGrace: 2 * time.Second}, g.now)
				g.settle()
			},
			"hear": func(rt *rapid.T) {
				in := in()
				if w := g.engine.wires[wireOf(&in)]; w != nil {
					g.hear(in, priority.Draw(rt, "priority"), rapid.SampledFrom([]string{"10.9.0.2", "10.9.0.3"}).Draw(rt, "from"))
				}
			},
			"garbage": func(rt *rapid.T) {
				in := in()
				d := g.datagram(in, 100, "10.9.0.2")
				d.TTL = 7
				if w := g.engine.wires[wireOf(&in)]; w != nil {
					g.engine.receive(w, d, g.now)
					g.settle()
				}
			},
			"interface": func(rt *rapid.T) {
				if rapid.Bool().Draw(rt, "up") {
					g.up("eth0", 2, "10.9.0.1/24")
				} else {
					g.down("eth0", 2)
				}
			},
			"refuse": func(rt *rapid.T) {
				g.refuses = nil
				if rapid.Bool().Draw(rt, "refused") {
					g.refuses = refuse(v3(100), 0)
				}
			},
			"director": func(rt *rapid.T) {
				if rapid.Bool().Draw(rt, "gone") {
					g.engine.directorGone(g.now)
				} else {
					g.engine.directorHeard(g.now, g.now)
				}
				g.settle()
			},
			"wait": func(rt *rapid.T) {
				g.advance(rapid.SampledFrom([]time.Duration{time.Millisecond, 150 * time.Millisecond, time.Second, 10 * time.Second, time.Minute}).Draw(rt, "time"))
			},
			"": func(rt *rapid.T) {
				hear()
				for _, want := range g.engine.statuses(g.now) {
					if diff := cmp.Diff(want, known[want.Name], cmpopts.EquateComparable(netip.Addr{})); diff != "" {
						rt.Fatalf("%s differs (-want +known):\n%s", want.Name, diff)
					}
				}
			},
		})
	})
}

// BenchmarkReport measures a report of more than a thousand instances, from the director's request until it has arrived.
func BenchmarkReport(b *testing.B) {
	g := newRig(b)
	g.quiet = true
	var instances []vrrp.Instance
	for i := range 4 {
		name := fmt.Sprintf("eth%d", i)
		g.up(name, 2+i, fmt.Sprintf("10.9.%d.1/24", i))
		for _, in := range fullHouse(100, time.Second) {
			in.Name, in.Interface = fmt.Sprintf("%s-%d", name, in.VirtualRouterID), name
			instances = append(instances, in)
		}
	}
	g.want(instances...)
	g.advance(10 * time.Second)
	path := filepath.Join(b.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	s := &server{log: slog.New(slog.DiscardHandler), history: g.engine.history, left: func() {}, arrived: func(*directorConn) {}}
	s.ordered = func(c *directorConn, o order) {
		n := news{Report: true, Figures: g.engine.figures()}
		if o.Counts {
			n.Statuses, n.Counters = g.engine.report(g.now)
		} else {
			n.Statuses = g.engine.statuses(g.now)
		}
		c.put(n)
	}
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	go func() { _ = s.serve(ctx, l) }()
	c := NewClient(ClientOptions{
		Path: path, Statuses: func([]vrrp.Status) {}, Counters: func(map[string]vrrp.Counters) {}, Transitions: func([]vrrp.Transition) {},
		Connected: func(bool) {}, Logger: slog.New(slog.DiscardHandler),
	})
	go c.Run(ctx)
	for _, all := range []bool{true, false} {
		b.Run(fmt.Sprintf("all=%v", all), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := c.Report(ctx, all); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
