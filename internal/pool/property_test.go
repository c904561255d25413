package pool_test

import (
	"maps"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/internal/pool"
	"github.com/lvs-ha/lvs-ha/ipvs"
)

// drawServices generates two services that share servers, and therefore checks, with sorry servers and a quorum.
func drawServices(t *rapid.T) []config.VirtualService {
	var list []config.VirtualService
	for _, mark := range rapid.SliceOfNDistinct(rapid.Uint32Range(1, 2), 0, 2, rapid.ID).Draw(t, "services") {
		var checks []healthcheck.Spec
		for _, port := range rapid.SliceOfNDistinct(rapid.Uint16Range(0, 1), 0, 2, rapid.ID).Draw(t, "checks") {
			checks = append(checks, tcpCheck(8080*port))
		}
		vs := webService(rapid.SampledFrom([]config.OnFailure{config.Remove, config.Weight}).Draw(t, "on failure"), checks...)
		vs.ServiceKey = ipvs.ServiceByMark(ipvs.IPv4, mark)
		for _, server := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c"}), 0, 3, rapid.ID).Draw(t, "servers") {
			rs := config.RealServer{Destination: destination(at(server).String(), rapid.Uint32Range(0, 3).Draw(t, "weight"))}
			rs.Forward = rapid.SampledFrom([]ipvs.ForwardMethod{ipvs.Masquerade, ipvs.DirectRoute}).Draw(t, "forward")
			if rapid.Bool().Draw(t, "own check") {
				rs.Checks = []healthcheck.Spec{tcpCheck(9)}
			}
			vs.RealServers = append(vs.RealServers, rs)
		}
		for _, server := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"y", "z"}), 0, 2, rapid.ID).Draw(t, "sorry servers") {
			rs := config.RealServer{Destination: destination(at(server).String(), rapid.Uint32Range(0, 3).Draw(t, "weight")), Sorry: true}
			if rapid.Bool().Draw(t, "checked") {
				rs.Checks = []healthcheck.Spec{tcpCheck(9)}
			}
			vs.RealServers = append(vs.RealServers, rs)
		}
		voting := 0
		for _, rs := range vs.RealServers {
			if !rs.Sorry && rs.Weight > 0 {
				voting++
			}
		}
		if voting > 0 { // a quorum within reach
			vs.Quorum.Servers = rapid.IntRange(1, voting).Draw(t, "quorum")
			vs.Quorum.Hysteresis = uint64(rapid.IntRange(0, min(vs.Quorum.Servers-1, voting-vs.Quorum.Servers)).Draw(t, "hysteresis"))
		}
		if len(vs.RealServers) > 0 && rapid.Bool().Draw(t, "floor") {
			vs.MinUp.Percent = rapid.IntRange(1, 100).Draw(t, "min_up")
		}
		vs.SlowStart = time.Duration(rapid.IntRange(0, 30).Draw(t, "slow start")) * time.Second
		vs.Scheduler = rapid.SampledFrom([]string{"wrr", "sh"}).Draw(t, "scheduler")
		list = append(list, vs)
	}
	return list
}

// checkStep fails the test if an event changed the table without a reason.
func (w *world) checkStep(t *rapid.T, before map[pool.Server]ipvs.Destination) {
	after := w.destinations()
	for _, vs := range w.services {
		verdict := w.verdict(vs)
		w.checkTraffic(t, verdict)
		if len(verdict.Members) != len(vs.RealServers) {
			t.Fatalf("%d members of %d real servers", len(verdict.Members), len(vs.RealServers))
		}
		for i, m := range verdict.Members {
			rs := vs.RealServers[i]
			server := pool.Server{Service: vs.ServiceKey, Destination: rs.DestinationKey}
			was, had := before[server]
			is, has := after[server]
			if has != m.InTable || has && is != m.Destination {
				t.Errorf("%s is %+v in the table, the verdict is %+v", server.Destination, is, m)
			}
			want := rs.Destination
			want.Weight = m.Destination.Weight
			if m.Destination != want {
				t.Errorf("%s is to be %+v, configured is %+v", server.Destination, m.Destination, rs.Destination)
			}
			if m.Reason == pool.NoQuorum || m.Reason == pool.Standby {
				if m.Destination.Weight != 0 || m.State == down || rs.Sorry != (m.Reason == pool.Standby) {
					t.Errorf("%s is %s with weight %d, for %s", server.Destination, m.State, m.Destination.Weight, m.Reason)
				}
				continue
			}
			if m.Reason == pool.Kept || m.Reason == pool.SlowStart {
				weight := m.Destination.Weight
				if !has || weight == 0 || weight > rs.Weight || (m.State == down) != (m.Reason == pool.Kept) || m.Reason == pool.Kept && weight != rs.Weight {
					t.Errorf("%s is %s with weight %d of %d (%v), for %s", server.Destination, m.State, weight, rs.Weight, has, m.Reason)
				}
				continue
			}
			passes, fails := true, false
			for target := range pool.Targets(&vs, &rs) {
				state := w.health[target.Key()].State
				passes, fails = passes && state == up, fails || state == down
			}
			switch weight := m.Destination.Weight; {
			case passes != (m.State == up), passes != (m.Reason == pool.NoChecks || m.Reason == pool.ChecksPassing),
				fails != (m.State == down), fails != (m.Reason == pool.CheckFailed):
				t.Errorf("%s is %s for %s; it passes: %v, it fails: %v", server.Destination, m.State, m.Reason, passes, fails)
			case passes && (has && weight != rs.Weight || !has && (vs.Scheduler != "sh" || rs.Weight > 0)):
				t.Errorf("%s passes and has weight %d in the table (%v), want %d", server.Destination, weight, has, rs.Weight)
			case had && !has && m.Reason != pool.CheckFailed && was.Weight > 0 && rs.Weight > 0:
				t.Errorf("%s was removed for %s", server.Destination, m.Reason)
			case m.Reason == pool.AsFound && (weight != w.adopted[server] || weight > 0 && !had):
				t.Errorf("%s is as found with weight %d, but had %d (%v)", server.Destination, weight, was.Weight, had)
			case !passes && m.Reason != pool.AsFound && (weight != 0 || has && vs.OnFailure != config.Weight || !has && vs.OnFailure == config.Weight && vs.Scheduler != "sh"):
				t.Errorf("%s: %s gives weight %d, in the table %v, with on_failure %s", server.Destination, m.Reason, weight, has, vs.OnFailure)
			}
		}
	}
}

// checkTraffic fails the test if nobody serves clients although a server could, or if real servers and sorry servers both do.
func (w *world) checkTraffic(t *rapid.T, v pool.Verdict) {
	in, can := [2]bool{}, [2]bool{} // real servers and sorry servers
	for i, m := range v.Members {
		rs := w.configured(v, i)
		n := 0
		if rs.Sorry {
			n = 1
		}
		in[n] = in[n] || m.InTable && m.Destination.Weight > 0
		can[n] = can[n] || m.State == up && rs.Weight > 0
	}
	if in[0] && in[1] {
		t.Errorf("real servers and sorry servers of %s are in use", v.Service.ServiceKey)
	}
	if (can[0] || can[1] && v.Quorum.State == down) && !in[0] && !in[1] {
		t.Errorf("no server of %s is in use, the quorum is %s", v.Service.ServiceKey, v.Quorum.State)
	}
	if v.Quorum.State == up && in[1] {
		t.Errorf("a sorry server of %s is in use although there is a quorum", v.Service.ServiceKey)
	}
}

// configured returns the real server of a member.
func (w *world) configured(v pool.Verdict, i int) config.RealServer {
	n := slices.IndexFunc(w.services, func(vs config.VirtualService) bool { return vs.ServiceKey == v.Service.ServiceKey })
	return w.services[n].RealServers[i]
}

// TestAnySequence checks that for any sequence of events, a server leaves the table only if one of its checks failed or it
// was removed from the configuration; that it gets traffic only if its checks pass or it already did; and that neither a
// restart nor reloading the same configuration changes anything.
func TestAnySequence(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := world{health: map[string]healthcheck.Health{}}
		before := map[pool.Server]ipvs.Destination{}
		unchanged := func(event string) {
			if after := w.destinations(); !maps.Equal(before, after) {
				t.Errorf("a %s changed the table from %v to %v", event, before, after)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"load":    func(t *rapid.T) { w.load(drawServices(t)) },
			"again":   func(*rapid.T) { w.load(w.services); unchanged("second load") },
			"restart": func(*rapid.T) { w.restart(); unchanged("restart") },
			"settle":  func(*rapid.T) { w.settle(); unchanged("settling") },
			"result": func(t *rapid.T) {
				endpoint := at(rapid.SampledFrom([]string{"a", "b", "c", "y", "z"}).Draw(t, "server"))
				port := rapid.SampledFrom([]uint16{80, 8080, 9}).Draw(t, "port")
				w.result(netip.AddrPortFrom(endpoint.Addr(), port), rapid.SampledFrom([]healthcheck.State{up, down}).Draw(t, "state"))
			},
			"reconcile": func(*rapid.T) { w.reconcile(); unchanged("second look") },
			"": func(t *rapid.T) {
				w.checkStep(t, before)
				before = w.destinations()
			},
		})
	})
}

// TestBetterResultsNeverRemove checks that a better result never removes a server, and a worse one never adds it. Sorry servers do the
// opposite.
func TestBetterResultsNeverRemove(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		order := []healthcheck.State{down, unknown, up}
		w := world{services: drawServices(t), health: map[string]healthcheck.Health{}}
		for i := range w.services {
			w.services[i].RealServers = slices.DeleteFunc(w.services[i].RealServers, func(rs config.RealServer) bool { return rs.Sorry })
		}
		better := world{services: w.services, health: map[string]healthcheck.Health{}}
		for _, vs := range w.services {
			for _, rs := range vs.RealServers {
				for target := range pool.Targets(&vs, &rs) {
					n := rapid.IntRange(0, 2).Draw(t, "state")
					w.health[target.Key()] = healthcheck.Health{State: order[n]}
					better.health[target.Key()] = healthcheck.Health{State: order[rapid.IntRange(n, 2).Draw(t, "better state")]}
				}
			}
		}
		w.reconcile()
		better.reconcile()
		good := better.destinations()
		for server := range w.destinations() {
			if _, ok := good[server]; !ok {
				t.Errorf("%s is in the table only with the worse results", server.Destination)
			}
		}
	})
}
