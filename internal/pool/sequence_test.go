package pool_test

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/internal/pool"
	"github.com/lvs-ha/lvs-ha/ipvs"
)

// world is the state of a director: a configuration, results, adopted weights, and the kernel's table.
type world struct {
	now      int64
	services []config.VirtualService
	health   map[string]healthcheck.Health
	adopted  pool.Adopted
	memories map[ipvs.ServiceKey]pool.Memory
	orders   map[pool.Server]pool.Override
	table    []ipvs.ServiceState
}

// load applies a configuration: results of checks that remain are kept, and the table is adopted.
func (w *world) load(services []config.VirtualService) {
	w.services = services
	targets := w.targets()
	maps.DeleteFunc(w.health, func(key string, _ healthcheck.Health) bool { return !targets[key].IsValid() })
	w.adopted = pool.Adopt(services, w.table)
	w.reconcile()
}

// restart starts a new director.
func (w *world) restart() {
	w.health, w.memories = map[string]healthcheck.Health{}, nil
	w.load(w.services)
}

// settle discards the adopted weights once every check has a result.
func (w *world) settle() {
	if len(w.health) == len(w.targets()) {
		w.adopted = nil
	}
	w.reconcile()
}

// targets returns the endpoints of all checks, by key.
func (w *world) targets() map[string]netip.AddrPort {
	all := map[string]netip.AddrPort{}
	for _, vs := range w.services {
		for _, rs := range vs.RealServers {
			for t := range pool.Targets(vs, rs) {
				all[t.Key()] = t.Endpoint
			}
		}
	}
	return all
}

// result sets the state of the checks of an endpoint.
func (w *world) result(at netip.AddrPort, state healthcheck.State) {
	w.now++
	for key, endpoint := range w.targets() {
		if endpoint == at {
			w.health[key] = healthcheck.Health{State: state, Since: time.Unix(w.now, 0)}
		}
	}
	w.reconcile()
}

func (w *world) verdict(vs config.VirtualService) pool.Verdict {
	return pool.Decide(vs, pool.Inputs{Health: w.health, Adopted: w.adopted, Memories: w.memories, Overrides: w.orders, Now: time.Unix(w.now, 0)})
}

// reconcile applies the verdicts to the table.
func (w *world) reconcile() {
	w.table = nil
	if w.memories == nil {
		w.memories = map[ipvs.ServiceKey]pool.Memory{}
	}
	for _, vs := range w.services {
		verdict := w.verdict(vs)
		w.adopted = w.adopted.Without(verdict)
		w.memories[vs.ServiceKey] = verdict.Memory
		entry := verdict.Entry()
		s := ipvs.ServiceState{Service: entry.Service}
		for _, d := range entry.Destinations {
			s.Destinations = append(s.Destinations, ipvs.DestinationState{Destination: d})
		}
		w.table = append(w.table, s)
	}
}

// destinations returns the destinations in the table.
func (w *world) destinations() map[pool.Server]ipvs.Destination {
	all := map[pool.Server]ipvs.Destination{}
	for _, s := range w.table {
		for _, d := range s.Destinations {
			all[pool.Server{Service: s.ServiceKey, Destination: d.DestinationKey}] = d.Destination
		}
	}
	return all
}

// at returns the endpoint of the server with a one-letter name: a is 10.0.0.1:80.
func at(name string) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, name[0] - 'a' + 1}), 80)
}

func name(d ipvs.DestinationKey) string { return string(rune('a' + d.Address.As4()[3] - 1)) }

// configured parses "a=1 b=2" as the web service's real servers with their weights, "z?=1" as a sorry server with a check and
// "z!=1" as one without, and "quorum=2±1" or "weight=20±5" as the quorum. "weight" keeps failed ones with weight 0, "unchecked"
// omits the check, "deep" adds one at port 8080; "sh" and "persistent" change the service.
func configured(words []string) []config.VirtualService {
	vs := webService(config.Remove, tcpCheck(0))
	for _, word := range words {
		server, weight, ok := strings.Cut(word, "=")
		switch {
		case server == "quorum" && ok:
			fmt.Sscanf(weight, "%d±%d", &vs.Quorum.Servers, &vs.Quorum.Hysteresis)
		case server == "weight" && ok:
			fmt.Sscanf(weight, "%d±%d", &vs.Quorum.Weight, &vs.Quorum.Hysteresis)
		case word == "sh":
			vs.Scheduler = "sh"
		case word == "persistent":
			vs.Flags |= ipvs.FlagPersistent
		case ok && len(server) == 2:
			rs := config.RealServer{Destination: destination(at(server).String(), uint32(weight[0]-'0')), Sorry: true}
			if server[1] == '?' {
				rs.Checks = []healthcheck.Spec{tcpCheck(0)}
			}
			vs.RealServers = append(vs.RealServers, rs)
		case ok:
			vs.RealServers = append(vs.RealServers, config.RealServer{Destination: destination(at(server).String(), uint32(weight[0]-'0'))})
		case word == "weight":
			vs.OnFailure = config.Weight
		case word == "unchecked":
			vs.Checks = nil
		case word == "deep":
			vs.Checks = append(vs.Checks, tcpCheck(8080))
		default:
			panic("no such word: " + word)
		}
	}
	return []config.VirtualService{vs}
}

// order gives an order for a server of the web service, or ends one if it is zero.
func (w *world) order(name string, o pool.Override) {
	if w.orders == nil {
		w.orders = map[pool.Server]pool.Override{}
	}
	server := pool.Server{Service: webService(config.Remove).ServiceKey, Destination: destination(at(name).String(), 0).DestinationKey}
	if w.orders[server] = o; o == (pool.Override{}) {
		delete(w.orders, server)
	}
	w.reconcile()
}

// do runs an event: "load a=1 b=2", "a up", "a:8080 down", "restart", "settle", "wait 10" (seconds), "drain a", "drain a 10" (with a deadline), "disable a",
// "weight a 5", "enable a".
func (w *world) do(event string) {
	words := strings.Fields(event)
	switch words[0] {
	case "load":
		w.load(configured(words[1:]))
	case "restart":
		w.restart()
	case "settle":
		w.settle()
	case "wait":
		w.now += number(words[1])
		w.reconcile()
	case "drain":
		o := pool.Override{Action: pool.OverrideDrain}
		if len(words) > 2 {
			o.Deadline = time.Unix(w.now+number(words[2]), 0)
		}
		w.order(words[1], o)
	case "disable":
		w.order(words[1], pool.Override{Action: pool.OverrideDisable})
	case "weight":
		w.order(words[1], pool.Override{Action: pool.OverrideWeight, Weight: uint32(number(words[2]))})
	case "enable":
		w.order(words[1], pool.Override{})
	default:
		server, port, deep := strings.Cut(words[0], ":")
		endpoint := at(server)
		if deep {
			endpoint = netip.MustParseAddrPort(endpoint.Addr().String() + ":" + port)
		}
		w.result(endpoint, map[string]healthcheck.State{"up": up, "down": down}[words[1]])
	}
}

func number(word string) int64 {
	n, err := strconv.ParseInt(word, 10, 64)
	if err != nil {
		panic(err)
	}
	return n
}

// pool abbreviates the table: "a=1 b=0".
func (w *world) pool() string {
	var list []string
	for server, d := range w.destinations() {
		list = append(list, fmt.Sprintf("%s=%d", name(server.Destination), d.Weight))
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

// TestSequences starts each sequence of events with an empty table; after each event the table must have exactly these
// destinations.
func TestSequences(t *testing.T) {
	type step struct{ event, pool string }
	for _, tt := range []struct {
		name  string
		steps []step
	}{
		{"servers come up and fail", []step{
			{"load a=1 b=2 c=3", ""}, {"a up", "a=1"}, {"c up", "a=1 c=3"}, {"b down", "a=1 c=3"}, {"b up", "a=1 b=2 c=3"},
			{"a down", "b=2 c=3"}, {"b down", "c=3"}, {"c down", ""}, {"b up", "b=2"},
		}},
		{"failed servers stay with weight 0", []step{
			{"load weight a=1 b=2", "a=0 b=0"}, {"a up", "a=1 b=0"}, {"b up", "a=1 b=2"}, {"a down", "a=0 b=2"}, {"b down", "a=0 b=0"},
		}},
		{"without checks", []step{{"load unchecked a=1 b=0", "a=1 b=0"}, {"restart", "a=1 b=0"}, {"load unchecked b=4", "b=4"}}},
		{"a restart keeps the pool until there are results", []step{
			{"load a=1 b=2 c=3", ""}, {"a up", "a=1"}, {"b up", "a=1 b=2"}, {"c down", "a=1 b=2"},
			{"restart", "a=1 b=2"}, {"c down", "a=1 b=2"}, {"settle", "a=1 b=2"}, {"a down", "b=2"}, {"b up", "b=2"}, {"settle", "b=2"}, {"c up", "b=2 c=3"},
		}},
		{"a server that failed one check waits for the other", []step{
			{"load deep a=1", ""}, {"a up", ""}, {"a:8080 up", "a=1"}, {"restart", "a=1"}, {"a up", "a=1"}, {"a down", ""}, {"a up", ""}, {"a:8080 up", "a=1"},
		}},
		{"a restart keeps weight 0", []step{
			{"load weight a=1 b=2", "a=0 b=0"}, {"a up", "a=1 b=0"}, {"b down", "a=1 b=0"}, {"restart", "a=1 b=0"}, {"b up", "a=1 b=2"}, {"a down", "a=0 b=2"},
		}},
		{"a second restart before the first results", []step{
			{"load a=1 b=2", ""}, {"a up", "a=1"}, {"restart", "a=1"}, {"restart", "a=1"}, {"b up", "a=1 b=2"}, {"restart", "a=1 b=2"}, {"a down", "b=2"},
		}},
		{"servers join and leave", []step{
			{"load a=1", ""}, {"a up", "a=1"}, {"load a=1 b=2", "a=1"}, {"b up", "a=1 b=2"}, {"load b=2 c=3", "b=2"}, {"c down", "b=2"},
			{"load a=1 b=2 c=3", "b=2"}, {"a up", "a=1 b=2"},
		}},
		{"a weight changes", []step{
			{"load a=1 b=2", ""}, {"a up", "a=1"}, {"load a=5 b=2", "a=5"}, {"b down", "a=5"}, {"load a=0 b=7", "a=0"}, {"b up", "a=0 b=7"},
		}},
		{"a weight changes before the first result", []step{
			{"load a=1", ""}, {"a up", "a=1"}, {"restart", "a=1"}, {"load a=5", "a=1"}, {"a up", "a=5"},
		}},
		{"a check is added", []step{
			{"load a=1 b=2", ""}, {"a up", "a=1"}, {"b down", "a=1"}, {"load deep a=1 b=2", "a=1"}, {"a:8080 down", ""}, {"b up", ""},
			{"b:8080 up", "b=2"}, {"a:8080 up", "a=1 b=2"}, {"a down", "b=2"}, {"a:8080 down", "b=2"}, {"a up", "b=2"}, {"a:8080 up", "a=1 b=2"},
		}},
		{"a check is removed", []step{
			{"load deep a=1", ""}, {"a up", ""}, {"a:8080 down", ""}, {"load a=1", "a=1"}, {"load unchecked a=1", "a=1"},
		}},
		{"what happens to failed servers changes", []step{
			{"load a=1 b=2", ""}, {"a up", "a=1"}, {"b down", "a=1"}, {"load weight a=1 b=2", "a=1 b=0"}, {"a down", "a=0 b=0"}, {"load a=1 b=2", ""},
		}},
		{"a service is removed and comes back", []step{
			{"load a=1", ""}, {"a up", "a=1"}, {"load", ""}, {"load a=1", ""}, {"a up", "a=1"},
		}},
		{"quorum of servers, without a sorry server: nothing changes", []step{
			{"load quorum=2±0 a=1 b=2", ""}, {"a up", "a=1"}, {"b down", "a=1"}, {"b up", "a=1 b=2"}, {"a down", "b=2"}, {"b down", ""},
		}},
		{"a sorry server replaces the last real server", []step{
			{"load a=1 b=2 z!=1", "z=0"}, {"a up", "a=1 z=0"}, {"b up", "a=1 b=2 z=0"}, {"a down", "b=2 z=0"}, {"b down", "z=1"}, {"a up", "a=1 z=0"},
		}},
		{"the sorry server waits for the last first result", []step{
			{"load a=1 b=2 z!=1", "z=0"}, {"a down", "z=0"}, {"b down", "z=1"},
		}},
		{"below the quorum, the rest keeps its connections only", []step{
			{"load quorum=2±0 a=1 b=2 c=3 z!=1", "z=0"}, {"a up", "a=1 z=0"}, {"b up", "a=1 b=2 z=0"}, {"c up", "a=1 b=2 c=3 z=0"},
			{"c down", "a=1 b=2 z=0"}, {"a down", "b=0 z=1"}, {"c up", "b=2 c=3 z=0"},
		}},
		{"hysteresis", []step{
			{"load quorum=2±1 a=1 b=2 c=3 z!=1", "z=0"}, {"a up", "a=1 z=0"}, {"b up", "a=1 b=2 z=0"}, {"c up", "a=1 b=2 c=3 z=0"},
			{"c down", "a=1 b=2 z=0"}, {"b down", "a=1 z=0"}, {"a down", "z=1"}, {"a up", "a=0 z=1"}, {"b up", "a=0 b=0 z=1"}, {"c up", "a=1 b=2 c=3 z=0"},
		}},
		{"quorum of weights, as keepalived counts", []step{
			{"load weight=5±1 a=1 b=2 c=3 z!=1", "z=0"}, {"a up", "a=1 z=0"}, {"b up", "a=1 b=2 z=0"}, {"c up", "a=1 b=2 c=3 z=0"},
			{"a down", "b=2 c=3 z=0"}, {"b down", "c=0 z=1"}, {"b up", "b=0 c=0 z=1"}, {"a up", "a=1 b=2 c=3 z=0"},
		}},
		{"a pool of sorry servers is checked", []step{
			{"load a=1 y?=1 z?=2", ""}, {"a up", "a=1"}, {"z up", "a=1 z=0"}, {"a down", "z=2"}, {"y up", "y=1 z=2"}, {"z down", "y=1"}, {"y down", ""},
			{"z up", "z=2"}, {"a up", "a=1 z=0"},
		}},
		{"without a sorry server that is up, the rest serves", []step{
			{"load quorum=2±0 a=1 b=2 z?=1", ""}, {"z down", ""}, {"a up", "a=1"}, {"b down", "a=1"}, {"z up", "a=0 z=1"}, {"z down", "a=1"},
		}},
		{"on_failure = weight applies to sorry servers", []step{
			{"load weight a=1 z?=1", "a=0 z=0"}, {"a up", "a=1 z=0"}, {"z up", "a=1 z=0"}, {"a down", "a=0 z=1"}, {"z down", "a=0 z=0"},
		}},
		{"with sh, a server of weight 0 would refuse its clients", []step{
			{"load sh quorum=2±0 a=1 b=2 z!=1", ""}, {"a up", "a=1"}, {"b up", "a=1 b=2"}, {"a down", "z=1"}, {"a up", "a=1 b=2"},
		}},
		{"in a persistent service, a sorry server of weight 0 would keep its clients", []step{
			{"load persistent a=1 z!=1", ""}, {"a up", "a=1"}, {"a down", "z=1"}, {"a up", "a=1"},
		}},
		{"a restart while the sorry server serves", []step{
			{"load quorum=2±1 a=1 b=2 c=3 z!=1", "z=0"}, {"a up", "a=1 z=0"}, {"b down", "a=1 z=0"}, {"c down", "a=0 z=1"}, {"restart", "a=0 z=1"},
			{"a up", "a=0 z=1"}, {"b up", "a=0 b=0 z=1"}, {"c up", "a=1 b=2 c=3 z=0"},
		}},
		{"a restart while the real servers serve", []step{
			{"load quorum=2±0 a=1 b=2 z!=1", "z=0"}, {"a up", "a=1 z=0"}, {"b up", "a=1 b=2 z=0"}, {"restart", "a=1 b=2 z=0"}, {"a up", "a=1 b=2 z=0"}, {"b down", "a=0 z=1"},
		}},
		{"sorry server and quorum are configured later", []step{
			{"load a=1 b=2", ""}, {"a up", "a=1"}, {"b down", "a=1"}, {"load quorum=2±0 a=1 b=2", "a=1"}, {"load quorum=2±0 a=1 b=2 z!=1", "a=0 z=1"},
			{"load a=1 b=2 z!=1", "a=1 z=0"},
		}},
		{"an operator drains, disables and enables", []step{
			{"load a=1 b=2", ""}, {"a up", "a=1"}, {"b up", "a=1 b=2"}, {"drain a", "a=0 b=2"}, {"a down", "b=2"}, {"a up", "a=0 b=2"}, {"enable a", "a=1 b=2"},
			{"disable b", "a=1"}, {"b down", "a=1"}, {"b up", "a=1"}, {"enable b", "a=1 b=2"},
		}},
		{"a drain has a deadline", []step{
			{"load a=1 b=2", ""}, {"a up", "a=1"}, {"b up", "a=1 b=2"}, {"drain a 10", "a=0 b=2"}, {"wait 9", "a=0 b=2"}, {"wait 1", "b=2"}, {"load a=3 b=2", "b=2"}, {"enable a", "a=3 b=2"},
		}},
		{"an operator's weight does not replace checks", []step{
			{"load a=1 b=2", ""}, {"weight a 5", ""}, {"a up", "a=5"}, {"b up", "a=5 b=2"}, {"a down", "b=2"}, {"a up", "a=5 b=2"}, {"load a=7 b=2", "a=5 b=2"},
			{"weight a 0", "a=0 b=2"}, {"enable a", "a=7 b=2"}, {"load a=0 b=2", "a=0 b=2"}, {"weight a 4", "a=4 b=2"},
		}},
		{"with on_failure = weight", []step{
			{"load weight a=1 b=2", "a=0 b=0"}, {"disable a", "b=0"}, {"weight b 5", "b=0"}, {"b up", "b=5"}, {"drain b", "b=0"}, {"b down", "b=0"}, {"enable a", "a=0 b=0"},
		}},
		{"orders survive a restart", []step{
			{"load a=1 b=2", ""}, {"a up", "a=1"}, {"b up", "a=1 b=2"}, {"drain a", "a=0 b=2"}, {"weight b 5", "a=0 b=5"}, {"restart", "a=0 b=5"}, {"a up", "a=0 b=5"}, {"b up", "a=0 b=5"},
		}},
		{"an order that ended during a restart", []step{
			{"load a=1 b=2", ""}, {"a up", "a=1"}, {"b up", "a=1 b=2"}, {"drain a", "a=0 b=2"}, {"restart", "a=0 b=2"}, {"enable a", "a=0 b=2"}, {"a up", "a=1 b=2"},
		}},
		{"a drained server has no vote, a sorry server can be drained", []step{
			{"load a=1 b=2 y!=1 z!=1", "y=0 z=0"}, {"a up", "a=1 y=0 z=0"}, {"b down", "a=1 y=0 z=0"}, {"drain y", "a=1 y=0 z=0"}, {"drain a", "a=0 y=0 z=1"}, {"enable a", "a=1 y=0 z=0"},
			{"disable a", "y=0 z=1"}, {"disable z", "y=0"}, {"enable y", "y=1"},
		}},
		{"a real server without weight has no vote", []step{
			{"load a=0 b=1 z!=1", "z=0"}, {"a up", "a=0 z=0"}, {"b down", "a=0 z=1"}, {"load a=2 b=1 z!=1", "a=2 z=0"},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := world{health: map[string]healthcheck.Health{}}
			for i, s := range tt.steps {
				w.do(s.event)
				if got := w.pool(); got != s.pool {
					t.Fatalf("after step %d, %q, the pool is %q, want %q", i+1, s.event, got, s.pool)
				}
			}
		})
	}
}

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
			passes, fails := true, false
			for target := range pool.Targets(vs, rs) {
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
				for target := range pool.Targets(vs, rs) {
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
