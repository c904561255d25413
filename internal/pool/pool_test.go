package pool_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/internal/pool"
	"github.com/lvs-ha/lvs-ha/ipvs"
)

const (
	up      = healthcheck.Up
	down    = healthcheck.Down
	unknown = healthcheck.Unknown
)

// values compares addresses by value.
var values = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })

func tcpCheck(port uint16) healthcheck.Spec {
	return healthcheck.Spec{Check: &healthcheck.TCP{}, Interval: time.Second, Timeout: time.Second, Rise: 1, Fall: 1, Port: port}
}

func destination(at string, weight uint32) ipvs.Destination {
	ap := netip.MustParseAddrPort(at)
	return ipvs.Destination{
		DestinationKey: ipvs.DestinationKey{Address: ap.Addr(), Port: ap.Port()},
		Forward:        ipvs.DirectRoute, Weight: weight, UpperThreshold: 9, LowerThreshold: 3,
	}
}

func webService(onFailure config.OnFailure, checks ...healthcheck.Spec) config.VirtualService {
	return config.VirtualService{
		Name: "web",
		Service: ipvs.Service{
			ServiceKey: ipvs.ServiceAt(ipvs.TCP, netip.MustParseAddrPort("192.0.2.1:80")), Scheduler: "wrr", Netmask: 0xffffffff,
		},
		Checks: checks, OnFailure: onFailure,
	}
}

// TestVerdictOnOneServer has one real server of weight 5 with two checks, or none.
func TestVerdictOnOneServer(t *testing.T) {
	at := func(seconds int64) time.Time { return time.Unix(seconds, 0) }
	for _, tt := range []struct {
		name      string
		onFailure config.OnFailure
		none      bool
		states    []healthcheck.State // of the checks; since second 1, 2, …
		adopted   pool.Adopted
		unchecked int // number of checks that are not running

		inTable bool
		weight  uint32
		state   healthcheck.State
		reason  pool.Reason
		since   time.Time
		assumed bool
	}{
		{name: "no checks", none: true, inTable: true, weight: 5, state: up, reason: pool.NoChecks},
		{name: "all pass", states: []healthcheck.State{up, up}, inTable: true, weight: 5, state: up, reason: pool.ChecksPassing, since: at(2)},
		{name: "the first fails", states: []healthcheck.State{down, up}, state: down, reason: pool.CheckFailed, since: at(1)},
		{name: "the second fails", states: []healthcheck.State{up, down}, state: down, reason: pool.CheckFailed, since: at(2)},
		{name: "both fail", states: []healthcheck.State{down, down}, state: down, reason: pool.CheckFailed, since: at(2)},
		{name: "a failure outweighs a missing result", states: []healthcheck.State{down, unknown}, state: down, reason: pool.CheckFailed, since: at(1)},
		{name: "a missing result outweighs a pass", states: []healthcheck.State{up, unknown}, state: unknown, reason: pool.NoResult},
		{name: "no result", states: []healthcheck.State{unknown, unknown}, state: unknown, reason: pool.NoResult},
		{name: "weight: all pass", onFailure: config.Weight, states: []healthcheck.State{up, up}, inTable: true, weight: 5, state: up, reason: pool.ChecksPassing, since: at(2)},
		{name: "weight: one fails", onFailure: config.Weight, states: []healthcheck.State{up, down}, inTable: true, state: down, reason: pool.CheckFailed, since: at(2)},
		{name: "weight: no result", onFailure: config.Weight, states: []healthcheck.State{unknown, up}, inTable: true, state: unknown, reason: pool.NoResult},
		{name: "found: no result", states: []healthcheck.State{up, unknown}, adopted: found("10.0.0.1:80", 7), inTable: true, weight: 7, state: unknown, reason: pool.AsFound},
		{name: "found with weight 0", states: []healthcheck.State{up, unknown}, adopted: found("10.0.0.1:80", 0), inTable: true, state: unknown, reason: pool.AsFound},
		{name: "weight, found: no result", onFailure: config.Weight, states: []healthcheck.State{unknown, up}, adopted: found("10.0.0.1:80", 7), inTable: true, weight: 7, state: unknown, reason: pool.AsFound},
		{name: "found: fails", states: []healthcheck.State{unknown, down}, adopted: found("10.0.0.1:80", 7), state: down, reason: pool.CheckFailed, since: at(2)},
		{name: "found: all pass", states: []healthcheck.State{up, up}, adopted: found("10.0.0.1:80", 7), inTable: true, weight: 5, state: up, reason: pool.ChecksPassing, since: at(2)},
		{name: "another server was found", states: []healthcheck.State{up, unknown}, adopted: found("10.0.0.2:80", 7), state: unknown, reason: pool.NoResult},
		{name: "no check is carried out", states: []healthcheck.State{down, down}, unchecked: 2, inTable: true, weight: 5, state: up, reason: pool.ChecksPassing, assumed: true},
		{name: "one check is not carried out, the other fails", states: []healthcheck.State{up, down}, unchecked: 1, state: down, reason: pool.CheckFailed, since: at(2), assumed: true},
		{name: "one check is not carried out, the other has no result", states: []healthcheck.State{up, unknown}, unchecked: 1, state: unknown, reason: pool.NoResult, assumed: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var checks []healthcheck.Spec
			if !tt.none {
				checks = []healthcheck.Spec{tcpCheck(1), tcpCheck(2)}
			}
			vs := webService(tt.onFailure, checks...)
			server := config.RealServer{Destination: destination("10.0.0.1:80", 5)}
			vs.RealServers = []config.RealServer{server}
			in, health := pool.Inputs{Adopted: tt.adopted}, map[string]healthcheck.Health{}
			unchecked := map[string]bool{}
			n := 0
			for target := range pool.Targets(&vs, &server) {
				if tt.states[n] != unknown {
					health[target.Key()] = healthcheck.Health{State: tt.states[n], Since: at(int64(n + 1))}
				}
				unchecked[target.Key()] = n < tt.unchecked
				n++
			}
			if tt.unchecked > 0 {
				in.Checked = func(key string) bool { return !unchecked[key] }
			}
			want := pool.Member{Destination: server.Destination, InTable: tt.inTable, State: tt.state, Reason: tt.reason, Assumed: tt.assumed, Since: tt.since}
			want.Destination.Weight = tt.weight
			in.Health = results(health, vs)
			got := pool.Decide(&vs, in)
			if diff := cmp.Diff(pool.Verdict{Service: vs.Service, Members: []pool.Member{want}, Quorum: got.Quorum, Memory: got.Memory}, got, values); diff != "" {
				t.Errorf("the verdict differs (-want +got):\n%s", diff)
			}
			entry := ipvs.Entry{Service: vs.Service, Destinations: []ipvs.Destination{}}
			if tt.inTable {
				entry.Destinations = append(entry.Destinations, want.Destination)
			}
			if diff := cmp.Diff(entry, got.Entry(), values); diff != "" {
				t.Errorf("the entry differs (-want +got):\n%s", diff)
			}
		})
	}
}

// TestRequiredChecks compares the verdict for all states of three checks with what every completion of the missing results gives:
// the state is unknown only as long as they decide.
func TestRequiredChecks(t *testing.T) {
	vs := webService(config.Remove, tcpCheck(1), tcpCheck(2), tcpCheck(3))
	vs.RealServers = []config.RealServer{{Destination: destination("10.0.0.1:80", 5)}}
	var keys []string
	for target := range pool.Targets(&vs, &vs.RealServers[0]) {
		keys = append(keys, target.Key())
	}
	all := []healthcheck.State{unknown, up, down}
	for vs.Required = range 4 {
		needed := vs.Required
		if needed == 0 {
			needed = 3
		}
		for n := range 27 {
			health := map[string]healthcheck.Health{}
			passing, missing := 0, 0
			for i, key := range keys {
				state := all[[]int{n % 3, n / 3 % 3, n / 9}[i]]
				health[key] = healthcheck.Health{State: state}
				switch state {
				case up:
					passing++
				case unknown:
					missing++
				}
			}
			want := unknown
			if passing >= needed {
				want = up
			} else if passing+missing < needed {
				want = down
			}
			if got := pool.Decide(&vs, pool.Inputs{Health: results(health, vs)}).Members[0].State; got != want {
				t.Errorf("%d required, %d pass, %d without a result: %v, want %v", vs.Required, passing, missing, got, want)
			}
		}
	}
}

// TestAdvice checks what the checks' advice does to a server of weight 100 with the thresholds 9 and 3.
func TestAdvice(t *testing.T) {
	percent := func(n float64) healthcheck.Advice { return healthcheck.Advice{Unit: healthcheck.Percent, Number: n} }
	added := func(n float64) healthcheck.Advice { return healthcheck.Advice{Unit: healthcheck.Added, Number: n} }
	mode := func(m healthcheck.Mode) healthcheck.Advice { return healthcheck.Advice{Mode: m} }
	for name, c := range map[string]struct {
		onFailure          config.OnFailure
		advice             [2]healthcheck.Advice // of both checks
		inTable            bool
		weight, upper, low uint32
		reason             pool.Reason
	}{
		"nothing":           {advice: [2]healthcheck.Advice{}, inTable: true, weight: 100, upper: 9, low: 3, reason: pool.ChecksPassing},
		"one":               {advice: [2]healthcheck.Advice{{}, percent(40)}, inTable: true, weight: 40, upper: 9, low: 3, reason: pool.Advised},
		"the smallest":      {advice: [2]healthcheck.Advice{percent(70), percent(60)}, inTable: true, weight: 60, upper: 9, low: 3, reason: pool.Advised},
		"added":             {advice: [2]healthcheck.Advice{added(6), added(0)}, inTable: true, weight: 106, upper: 9, low: 3, reason: pool.Advised},
		"added twice":       {advice: [2]healthcheck.Advice{added(-30), added(-80)}, inTable: true, weight: 0, upper: 9, low: 3, reason: pool.Advised},
		"added to another":  {advice: [2]healthcheck.Advice{added(5), percent(60)}, inTable: true, weight: 65, upper: 9, low: 3, reason: pool.Advised},
		"more than all":     {advice: [2]healthcheck.Advice{percent(150), {}}, inTable: true, weight: 150, upper: 9, low: 3, reason: pool.Advised},
		"drain":             {advice: [2]healthcheck.Advice{percent(70), mode(healthcheck.Drain)}, inTable: true, weight: 0, upper: 9, low: 3, reason: pool.Draining},
		"ready":             {advice: [2]healthcheck.Advice{mode(healthcheck.Ready), {}}, inTable: true, weight: 100, upper: 9, low: 3, reason: pool.ChecksPassing},
		"maintenance":       {advice: [2]healthcheck.Advice{mode(healthcheck.Maintenance), mode(healthcheck.Drain)}, weight: 0, upper: 9, low: 3, reason: pool.InMaintenance},
		"maintenance, kept": {onFailure: config.Weight, advice: [2]healthcheck.Advice{{}, mode(healthcheck.Maintenance)}, inTable: true, weight: 0, upper: 9, low: 3, reason: pool.InMaintenance},
		"limits":            {advice: [2]healthcheck.Advice{{MaxConn: 8}, {MaxConn: 7}}, inTable: true, weight: 100, upper: 7, low: 3, reason: pool.ChecksPassing},
		"a small limit":     {advice: [2]healthcheck.Advice{{MaxConn: 2}, {}}, inTable: true, weight: 100, upper: 2, low: 0, reason: pool.ChecksPassing},
	} {
		vs := webService(c.onFailure, tcpCheck(1), tcpCheck(2))
		vs.RealServers = []config.RealServer{{Destination: destination("10.0.0.1:80", 100)}}
		health := map[string]healthcheck.Health{}
		i := 0
		for target := range pool.Targets(&vs, &vs.RealServers[0]) {
			health[target.Key()] = healthcheck.Health{State: up, Advice: c.advice[i]}
			i++
		}
		m := pool.Decide(&vs, pool.Inputs{Health: results(health, vs)}).Members[0]
		d := m.Destination
		if m.InTable != c.inTable || d.Weight != c.weight || d.UpperThreshold != c.upper || d.LowerThreshold != c.low || m.Reason != c.reason {
			t.Errorf("%s: %+v", name, m)
		}
	}
}

// TestVeto checks that an agent is not one of the required checks, and that what it says counts.
func TestVeto(t *testing.T) {
	agent := tcpCheck(9)
	agent.Check = &healthcheck.Agent{}
	vs := webService(config.Remove, tcpCheck(1), tcpCheck(2), agent)
	vs.Required = 1
	vs.RealServers = []config.RealServer{{Destination: destination("10.0.0.1:80", 100)}}
	var keys []string
	for target := range pool.Targets(&vs, &vs.RealServers[0]) {
		keys = append(keys, target.Key())
	}
	for _, c := range []struct{ one, two, agent, want healthcheck.State }{
		{up, down, up, up}, {down, down, up, down}, {up, up, down, down}, {up, unknown, unknown, unknown}, {down, down, unknown, down}, {down, unknown, up, unknown},
	} {
		health := map[string]healthcheck.Health{keys[0]: {State: c.one}, keys[1]: {State: c.two}, keys[2]: {State: c.agent}}
		if got := pool.Decide(&vs, pool.Inputs{Health: results(health, vs)}).Members[0].State; got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

// found returns what was adopted of the web service: one server with its weight.
func found(at string, weight uint32) pool.Adopted {
	vs := webService(config.Remove)
	return pool.Adopted{pool.Server{Service: vs.ServiceKey, Destination: destination(at, weight).DestinationKey}: weight}
}

func TestOwnChecksReplaceThoseOfTheService(t *testing.T) {
	vs := webService(config.Remove, tcpCheck(0), tcpCheck(8080))
	endpoints := func(rs config.RealServer) (list []string) {
		for target := range pool.Targets(&vs, &rs) {
			list = append(list, target.Endpoint.String())
		}
		return list
	}
	server := config.RealServer{Destination: destination("10.0.0.1:80", 1)}
	if diff := cmp.Diff([]string{"10.0.0.1:80", "10.0.0.1:8080"}, endpoints(server)); diff != "" {
		t.Errorf("the service's checks (-want +got):\n%s", diff)
	}
	own := tcpCheck(9)
	own.Address = netip.MustParseAddr("10.0.0.9")
	server.Checks = []healthcheck.Spec{own}
	if diff := cmp.Diff([]string{"10.0.0.9:9"}, endpoints(server)); diff != "" {
		t.Errorf("its own checks (-want +got):\n%s", diff)
	}
}

func TestOnlyConfiguredServicesAreAdopted(t *testing.T) {
	mine, other := webService(config.Remove), webService(config.Remove)
	other.ServiceKey = ipvs.ServiceByMark(ipvs.IPv4, 7)
	var table []ipvs.ServiceState
	for _, s := range []config.VirtualService{other, mine} {
		table = append(table, ipvs.ServiceState{Service: s.Service, Destinations: []ipvs.DestinationState{{Destination: destination("10.0.0.1:80", 4)}}})
	}
	if diff := cmp.Diff(found("10.0.0.1:80", 4), pool.Adopt([]config.VirtualService{mine}, table), values); diff != "" {
		t.Errorf("adopted (-want +got):\n%s", diff)
	}
}

func TestReasonsHaveDistinctCodes(t *testing.T) {
	codes := map[string]bool{}
	for r := pool.NoChecks; r <= pool.Presumed; r++ {
		codes[r.String()] = true
	}
	if want := int(pool.Presumed) + 1; len(codes) != want || codes[""] {
		t.Errorf("the codes are %v, want %d", codes, want)
	}
	if got := (pool.Presumed + 1).String(); codes[got] {
		t.Errorf("an unknown reason is called %q", got)
	}
}
