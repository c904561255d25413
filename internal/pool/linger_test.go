package pool_test

import (
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/internal/pool"
	"github.com/lvs-ha/lvs-ha/ipvs"
)

// TestLinger starts each sequence of events with an empty table, as TestSequences does. A result takes a second.
func TestLinger(t *testing.T) {
	type step struct{ event, pool string }
	for _, tt := range []struct {
		name  string
		steps []step
	}{
		{"a failed server", []step{
			{"load linger=3 a=1 b=2", ""}, {"a up", "a=1"}, {"b up", "a=1 b=2"}, {"a down", "a=0 b=2"}, {"wait 2", "a=0 b=2"}, {"wait 1", "b=2"}, {"wait 9", "b=2"},
		}},
		{"one that returns meanwhile, and fails again", []step{
			{"load linger=3 a=1", ""}, {"a up", "a=1"}, {"a down", "a=0"}, {"wait 1", "a=0"}, {"a up", "a=1"}, {"a down", "a=0"}, {"wait 2", "a=0"}, {"wait 1", ""},
		}},
		{"servers that are no longer configured", []step{
			{"load linger=3 a=1 b=2 c=0", ""}, {"a up", "a=1"}, {"b up", "a=1 b=2"}, {"c up", "a=1 b=2 c=0"}, {"load linger=3 b=2", "a=0 b=2"}, {"wait 2", "a=0 b=2"},
			{"load linger=3 b=5", "a=0 b=5"}, {"wait 1", "b=5"},
		}},
		{"the last server of a service", []step{
			{"load linger=3 unchecked a=1", "a=1"}, {"load linger=3 unchecked", "a=0"}, {"wait 3", ""},
		}},
		{"a server that is configured again", []step{
			{"load linger=3 unchecked a=1 b=2", "a=1 b=2"}, {"load linger=3 unchecked b=2", "a=0 b=2"}, {"load linger=3 unchecked a=7 b=2", "a=7 b=2"}, {"wait 3", "a=7 b=2"},
		}},
		{"an operator's orders", []step{
			{"load linger=3 unchecked a=1 b=2", "a=1 b=2"}, {"disable a", "b=2"}, {"enable a", "a=1 b=2"}, {"drain a 2", "a=0 b=2"}, {"wait 2", "b=2"},
		}},
		{"disabled while it lingers", []step{
			{"load linger=9 a=1 b=2", ""}, {"a up", "a=1"}, {"b up", "a=1 b=2"}, {"a down", "a=0 b=2"}, {"disable a", "b=2"}, {"enable a", "b=2"},
		}},
		{"a restart leaves none behind", []step{
			{"load linger=3 a=1 b=2", ""}, {"a up", "a=1"}, {"b up", "a=1 b=2"}, {"load linger=3 b=2", "a=0 b=2"}, {"restart", "b=2"},
		}},
		{"a failed server after a restart", []step{
			{"load linger=3 a=1 b=2", ""}, {"a up", "a=1"}, {"b up", "a=1 b=2"}, {"a down", "a=0 b=2"}, {"restart", "a=0 b=2"}, {"a down", "a=0 b=2"}, {"wait 3", "b=2"},
		}},
		{"all servers fail, one after the other, and a sorry server takes over", []step{
			{"load linger=5 a=1 b=2 z!=1", "z=0"}, {"a up", "a=1 z=0"}, {"b up", "a=1 b=2 z=0"}, {"a down", "a=0 b=2 z=0"}, {"b down", "a=0 b=0 z=1"},
			{"wait 4", "b=0 z=1"}, {"wait 1", "z=1"}, {"a up", "a=1 z=0"},
		}},
		{"a failed server that was replaced before", []step{
			{"load linger=5 quorum=2±0 a=1 b=2 z!=1", "z=0"}, {"a up", "a=1 z=0"}, {"b up", "a=1 b=2 z=0"}, {"a down", "a=0 b=0 z=1"}, {"b down", "a=0 b=0 z=1"},
			{"wait 4", "b=0 z=1"}, {"wait 1", "z=1"},
		}},
		{"on_failure = weight", []step{
			{"load linger=3 weight a=1 b=2", "a=0 b=0"}, {"a up", "a=1 b=0"}, {"a down", "a=0 b=0"}, {"wait 9", "a=0 b=0"},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := world{health: map[string]healthcheck.Health{}}
			for i, s := range tt.steps {
				w.do(s.event)
				if got := w.pool(); got != s.pool {
					t.Fatalf("step %d, %s: the pool is %q, want %q", i, s.event, got, s.pool)
				}
			}
		})
	}
}

// TestLingerInAnySequence checks that for any sequence of events, a server that had a weight stays in the table for the whole time,
// without a weight, unless it or its director is removed; and that none stays longer.
func TestLingerInAnySequence(t *testing.T) {
	const linger = 3
	rapid.Check(t, func(t *rapid.T) {
		w := world{health: map[string]healthcheck.Health{}}
		used := map[pool.Server]int64{} // when it last had a weight
		load := func(t *rapid.T) {
			services := drawServices(t)
			for i := range services {
				if services[i].Quiesces() {
					services[i].Linger = linger * time.Second
				}
			}
			// A server that is in the table without a weight is drained, and does not linger if it is no longer configured.
			for _, vs := range w.services {
				for _, m := range w.verdict(vs).Members {
					if m.InTable && m.Destination.Weight == 0 {
						delete(used, pool.Server{Service: vs.ServiceKey, Destination: m.Destination.DestinationKey})
					}
				}
			}
			w.load(services)
		}
		ours := func(key ipvs.ServiceKey) (lingers, known bool) {
			for _, vs := range w.services {
				if vs.ServiceKey == key {
					return vs.Linger > 0, true
				}
			}
			return false, false
		}
		t.Repeat(map[string]func(*rapid.T){
			"load":      load,
			"restart":   func(*rapid.T) { clear(used); w.restart() },
			"settle":    func(*rapid.T) { w.settle() },
			"wait":      func(*rapid.T) { w.now++; w.reconcile() },
			"reconcile": func(*rapid.T) { w.reconcile() },
			"result": func(t *rapid.T) {
				endpoint := at(rapid.SampledFrom([]string{"a", "b", "c", "y", "z"}).Draw(t, "server"))
				port := rapid.SampledFrom([]uint16{80, 8080, 9}).Draw(t, "port")
				w.result(netip.AddrPortFrom(endpoint.Addr(), port), rapid.SampledFrom([]healthcheck.State{up, down}).Draw(t, "state"))
			},
			"": func(t *rapid.T) {
				table := w.destinations()
				for server, last := range used {
					lingers, known := ours(server.Service)
					if _, there := table[server]; known && lingers && !there && w.now < last+linger {
						t.Errorf("%s had a weight at %d and is gone at %d", server.Destination, last, w.now)
					}
					if !known || !lingers {
						delete(used, server)
					}
				}
				for server, d := range table {
					if lingers, _ := ours(server.Service); d.Weight > 0 && lingers {
						used[server] = w.now
					}
				}
				rest := w
				rest.now += linger
				rest.memories = map[ipvs.ServiceKey]pool.Memory{}
				for key, memory := range w.memories {
					rest.memories[key] = memory
				}
				rest.reconcile()
				want := 0
				for _, vs := range rest.services {
					for _, m := range rest.verdict(vs).Members {
						if m.InTable {
							want++
						}
					}
				}
				if got := len(rest.destinations()); got != want {
					t.Errorf("%d servers are in the table after the time is over, want %d", got, want)
				}
			},
		})
	})
}
