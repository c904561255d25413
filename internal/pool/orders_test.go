package pool_test

import (
	"maps"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/internal/pool"
	"github.com/lvs-ha/lvs-ha/ipvs"
)

// drawOrder draws an operator's order, or none.
func (w *world) drawOrder(t *rapid.T) pool.Override {
	o := pool.Override{Action: rapid.SampledFrom([]pool.OverrideAction{"", pool.OverrideDrain, pool.OverrideDisable, pool.OverrideWeight}).Draw(t, "action")}
	switch o.Action {
	case pool.OverrideWeight:
		o.Weight = rapid.Uint32Range(0, 3).Draw(t, "ordered weight")
	case pool.OverrideDrain:
		if seconds := rapid.Int64Range(0, 3).Draw(t, "deadline"); seconds > 0 {
			o.Deadline = time.Unix(w.now+seconds, 0)
		}
	}
	return o
}

// TestOrdersAndAdvice checks for any sequence of results, operators' orders and advice of agents that whoever can serve does so, that
// real servers and sorry servers are never both in use, and that neither a restart nor a second look changes anything.
func TestOrdersAndAdvice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := world{health: map[string]healthcheck.Health{}, orders: map[pool.Server]pool.Override{}}
		before := w.destinations()
		unchanged := func(event string) {
			if after := w.destinations(); !maps.Equal(before, after) {
				t.Errorf("a %s changed the table from %v to %v", event, before, after)
			}
		}
		server := func(t *rapid.T) string { return rapid.SampledFrom([]string{"a", "b", "c", "y", "z"}).Draw(t, "server") }
		t.Repeat(map[string]func(*rapid.T){
			"load":      func(t *rapid.T) { w.load(drawServices(t)) },
			"again":     func(*rapid.T) { w.load(w.services); unchanged("second load") },
			"restart":   func(*rapid.T) { w.restart(); unchanged("restart") },
			"reconcile": func(*rapid.T) { w.reconcile(); unchanged("second look") },
			"wait": func(t *rapid.T) {
				w.now += rapid.Int64Range(1, 10).Draw(t, "seconds")
				w.reconcile()
			},
			"result": func(t *rapid.T) {
				w.result(at(server(t)), rapid.SampledFrom([]healthcheck.State{up, down}).Draw(t, "state"))
			},
			"advice": func(t *rapid.T) {
				w.advice(at(server(t)), rapid.SampledFrom([]string{"drain", "maint", "ready", "0", "30", "100", "200"}).Draw(t, "word"))
			},
			"order": func(t *rapid.T) {
				name := server(t)
				o := w.drawOrder(t)
				for _, vs := range w.services {
					key := pool.Server{Service: vs.ServiceKey, Destination: destination(at(name).String(), 0).DestinationKey}
					if w.orders[key] = o; o == (pool.Override{}) {
						delete(w.orders, key)
					}
				}
				w.reconcile()
			},
			"": func(t *rapid.T) {
				for _, vs := range w.services {
					w.checkUse(t, w.verdict(vs))
				}
				before = w.destinations()
			},
		})
	})
}

// checkUse fails the test if nobody serves although a server could, or if real servers and sorry servers both do.
func (w *world) checkUse(t *rapid.T, v pool.Verdict) {
	in, can := [2]bool{}, [2]bool{} // real servers and sorry servers
	for i, m := range v.Members {
		n := 0
		if m.Sorry {
			n = 1
		}
		in[n] = in[n] || m.InTable && m.Destination.Weight > 0
		can[n] = can[n] || m.State == up && w.couldServe(v.Service.ServiceKey, m, w.configured(v, i).Weight)
		if m.InTable && m.Destination.Weight > 0 && w.orders[pool.Server{Service: v.Service.ServiceKey, Destination: m.Destination.DestinationKey}].Action == pool.OverrideDisable {
			t.Errorf("%s is in use although it is disabled", m.Destination.DestinationKey)
		}
	}
	if in[0] && in[1] {
		t.Errorf("real servers and sorry servers of %s are in use", v.Service.ServiceKey)
	}
	if (can[0] || can[1] && v.Quorum.State == down) && !in[0] && !in[1] {
		t.Errorf("no server of %s is in use, the quorum is %s: %+v", v.Service.ServiceKey, v.Quorum.State, v.Members)
	}
}

// couldServe reports whether a server that passes its checks may have a weight above 0.
func (w *world) couldServe(service ipvs.ServiceKey, m pool.Member, weight uint32) bool {
	switch o := w.orders[pool.Server{Service: service, Destination: m.Destination.DestinationKey}]; o.Action {
	case pool.OverrideDrain, pool.OverrideDisable:
		return false
	case pool.OverrideWeight:
		weight = o.Weight
	}
	for key, endpoint := range w.targets() {
		if a := w.health[key].Advice; endpoint.Addr() == m.Destination.Address && (a.Mode > healthcheck.Ready || a.Unit != "" && a.Number == 0) {
			return false
		}
	}
	return weight > 0
}
