package pool_test

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

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
			for t := range pool.Targets(&vs, &rs) {
				all[t.Key()] = t.Endpoint
			}
		}
	}
	return all
}

// results returns the checks of services with their health, by target key.
func results(health map[string]healthcheck.Health, services ...config.VirtualService) *pool.Results {
	r, _ := pool.NewResults(services, nil, &pool.Results{})
	for key, h := range health {
		r.Set(key, h)
	}
	return r
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

func (w *world) verdict(vs config.VirtualService) pool.Verdict { return pool.Decide(&vs, w.inputs()) }

func (w *world) inputs() pool.Inputs {
	return pool.Inputs{Health: results(w.health, w.services...), Adopted: w.adopted, Memories: w.memories, Overrides: w.orders, Now: time.Unix(w.now, 0)}
}

// reconcile applies the verdicts to the table.
func (w *world) reconcile() {
	found := map[ipvs.ServiceKey][]ipvs.DestinationState{}
	for _, s := range w.table {
		found[s.ServiceKey] = s.Destinations
	}
	w.table = nil
	if w.memories == nil {
		w.memories = map[ipvs.ServiceKey]pool.Memory{}
	}
	for _, vs := range w.services {
		inputs := w.inputs()
		inputs.Table = found
		verdict := pool.Decide(&vs, inputs)
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
// "z!=1" as one without, "a+=1" as a real server that is kept with weight 0 if it fails, "a-=1" as one that is removed, "a^=1" as one
// that is used before its first result, "a_=1" as one that is not, and "quorum=2±1" or "weight=20±5" as the quorum. "weight" keeps failed ones with weight 0, "unchecked"
// omits the check, "deep" adds one at port 8080, "agent" asks an agent instead, "presumed" uses servers before their first result; "sh" and "persistent" change the
// service, "min_up=2", "min_up=30%", "slow=20" and "linger=2" (seconds) the pool.
func configured(words []string) []config.VirtualService {
	vs := webService(config.Remove, tcpCheck(0))
	for _, word := range words {
		server, weight, ok := strings.Cut(word, "=")
		switch {
		case server == "quorum" && ok:
			fmt.Sscanf(weight, "%d±%d", &vs.Quorum.Servers, &vs.Quorum.Hysteresis)
		case server == "weight" && ok:
			fmt.Sscanf(weight, "%d±%d", &vs.Quorum.Weight, &vs.Quorum.Hysteresis)
		case server == "min_up" && ok:
			if percent, is := strings.CutSuffix(weight, "%"); is {
				vs.MinUp.Percent = int(number(percent))
			} else {
				vs.MinUp.Servers = int(number(weight))
			}
		case server == "slow" && ok:
			vs.SlowStart = time.Duration(number(weight)) * time.Second
		case server == "linger" && ok:
			vs.Linger = time.Duration(number(weight)) * time.Second
		case word == "presumed":
			vs.Init = config.InitUp
		case word == "sh":
			vs.Scheduler = "sh"
		case word == "persistent":
			vs.Flags |= ipvs.FlagPersistent
		case ok && len(server) == 2:
			rs := config.RealServer{Destination: destination(at(server).String(), uint32(number(weight)))}
			switch server[1] {
			case '+':
				rs.OnFailure = config.Weight
			case '-':
				rs.OnFailure = config.Remove
			case '^':
				rs.Init = config.InitUp
			case '_':
				rs.Init = "down"
			case '?':
				rs.Checks = []healthcheck.Spec{tcpCheck(0)}
				fallthrough
			default:
				rs.Sorry = true
			}
			vs.RealServers = append(vs.RealServers, rs)
		case ok:
			vs.RealServers = append(vs.RealServers, config.RealServer{Destination: destination(at(server).String(), uint32(number(weight)))})
		case word == "weight":
			vs.OnFailure = config.Weight
		case word == "unchecked":
			vs.Checks = nil
		case word == "agent":
			agent := tcpCheck(0)
			agent.Check = &healthcheck.Agent{}
			vs.Checks = []healthcheck.Spec{agent}
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
// "weight a 5", "enable a", "a advises 40" (percent), "a advises drain", "a advises maint", "a advises ready".
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
		if words[1] == "advises" {
			w.advice(endpoint, words[2])
			return
		}
		w.result(endpoint, map[string]healthcheck.State{"up": up, "down": down}[words[1]])
	}
}

// advice changes what the checks of an endpoint that have results advise: a percentage, or a mode.
func (w *world) advice(at netip.AddrPort, word string) {
	advice := healthcheck.Advice{Mode: map[string]healthcheck.Mode{"drain": healthcheck.Drain, "maint": healthcheck.Maintenance, "ready": healthcheck.Ready}[word]}
	if advice.Mode == 0 {
		advice = healthcheck.Advice{Unit: healthcheck.Percent, Number: float64(number(word))}
	}
	for key, endpoint := range w.targets() {
		if health, known := w.health[key]; known && endpoint == at {
			health.Advice = advice
			w.health[key] = health
		}
	}
	w.reconcile()
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
