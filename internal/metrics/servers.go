package metrics

import (
	"iter"
	"strconv"
	"time"

	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/internal/api"
)

// The names of the labels of services, real servers and their checks.
var (
	serviceLabels = []string{"service"}
	serverLabels  = []string{"service", "server"}
	checkLabels   = []string{"service", "server", "check", "endpoint"}

	overrideLabels = []string{"service", "server", "action"}
)

// labelled is something that has several samples, with its labels.
type labelled[T any] struct {
	labels []byte
	of     T
}

// service is a virtual service with the number of its real servers by state.
type service struct {
	api.Service // without the real servers
	count       [healthcheck.Down + 1]int
}

// server has the numbers of a real server.
type server struct {
	up, inKernel                    bool
	weight, effective, kernelWeight uint32
	active, inactive                uint32
	traffic                         api.Stats
}

// check has the numbers of a check.
type check struct {
	up   bool
	took time.Duration
}

// gathered is what is written of services. A family has the samples of all of them, so they are gathered first.
type gathered struct {
	services  []service
	servers   [][]labelled[server] // of each service
	checks    [][]labelled[check]
	overrides [][]byte // labels
	texts     texts
}

// gather copies from services what is written of them, with or without single real servers.
func gather(all iter.Seq[*api.Service], servers bool) (g gathered) {
	for v := range all {
		one := service{Service: *v}
		one.Servers = nil
		var list []labelled[server]
		var checks []labelled[check]
		if servers {
			list, checks = make([]labelled[server], 0, len(v.Servers)), make([]labelled[check], 0, len(v.Servers))
		}
		for i := range v.Servers {
			r := &v.Servers[i]
			one.count[r.State]++
			if !servers {
				continue
			}
			key := r.ServerKey.String()
			list = append(list, labelled[server]{g.texts.labels(serverLabels, v.Name, key), server{
				up: r.State == healthcheck.Up, inKernel: r.Present, weight: r.Weight, effective: r.Effective, kernelWeight: r.KernelWeight, active: r.Active, inactive: r.Inactive, traffic: r.Stats,
			}})
			for k := range r.Checks {
				c := &r.Checks[k]
				labels := g.texts.labels(checkLabels, v.Name, key, c.Kind+ordinal(k, r.Checks), c.Endpoint.String())
				checks = append(checks, labelled[check]{labels, check{c.State == healthcheck.Up, time.Duration(c.Took)}})
			}
			if r.Override != nil {
				g.overrides = append(g.overrides, g.texts.labels(overrideLabels, v.Name, key, string(r.Override.Action)))
			}
		}
		g.services, g.servers, g.checks = append(g.services, one), append(g.servers, list), append(g.checks, checks)
	}
	return g
}

// realServers writes what lvs-ha knows of real servers, with their checks.
func realServers(w *writer, g *gathered) {
	numbers(w, g.servers, []number[server]{
		{gauge, "server_up", "Whether the checks of a real server succeed.", func(r *server) float64 { return truth(r.up) }},
		{gauge, "server_weight", "The configured weight.", func(r *server) float64 { return float64(r.weight) }},
		{gauge, "server_effective_weight", "The weight that checks, agents and orders have made of it.", func(r *server) float64 { return float64(r.effective) }},
	})
	numbers(w, g.checks, []number[check]{
		{gauge, "check_up", "Whether a health check of a real server succeeds.", func(c *check) float64 { return truth(c.up) }},
		{gauge, "check_last_duration_seconds", "How long the last run of a health check took.", func(c *check) float64 { return c.took.Seconds() }},
	})
	w.family(gauge, "server_override", "Orders of operators in force.", overrideLabels...)
	for _, labels := range g.overrides {
		w.sampleOf(labels, 1)
	}
}

// inKernel writes what the kernel has of services and, if servers is set, of real servers.
func inKernel(w *writer, g *gathered, servers bool) {
	w.family(gauge, "service_in_kernel", "Whether the service is in the kernel's table.", serviceLabels...)
	for i := range g.services {
		w.flag(g.services[i].Present, g.services[i].Name)
	}
	numbers(w, g.traffic(), traffic("service", func(s *api.Stats) *api.Stats { return s }))
	if !servers {
		return
	}
	numbers(w, g.servers, []number[server]{
		{gauge, "server_kernel_weight", "The weight in the kernel's table; 0 if the server is not there.", func(r *server) float64 { return float64(r.kernelWeight) }},
		{gauge, "server_in_kernel", "Whether the server is in the kernel's table.", func(r *server) float64 { return truth(r.inKernel) }},
		{gauge, "server_active_connections", "Established connections.", func(r *server) float64 { return float64(r.active) }},
		{gauge, "server_inactive_connections", "Connections in other states.", func(r *server) float64 { return float64(r.inactive) }},
	})
	numbers(w, g.servers, traffic("server", func(r *server) *api.Stats { return &r.traffic }))
}

// traffic returns the counters of the services.
func (g *gathered) traffic() [][]labelled[api.Stats] {
	list := make([]labelled[api.Stats], len(g.services))
	for i := range g.services {
		list[i] = labelled[api.Stats]{labelsOf(serviceLabels, g.services[i].Name), g.services[i].Stats}
	}
	return [][]labelled[api.Stats]{list}
}

// samplesAhead is how many samples are formatted at a time: enough that it takes longer than to pass them on.
const samplesAhead = 500

// numbers writes families with a sample for each element of the lists. All CPUs format them.
func numbers[T any](w *writer, lists [][]labelled[T], families []number[T]) {
	parts := [][][]labelled[T]{nil} // of a family
	for size, from, i := 0, 0, 0; i < len(lists); i++ {
		if size += len(lists[i]); size >= samplesAhead || i == len(lists)-1 {
			parts = append(parts, lists[from:i+1])
			size, from = 0, i+1
		}
	}
	w.parallel(len(families)*len(parts), func(lines []byte, i int) []byte {
		f, part := &families[i/len(parts)], i%len(parts)
		name := prefix + f.name
		if part == 0 {
			return appendHeader(lines, f.kind, name, f.help)
		}
		for _, list := range parts[part] {
			for k := range list {
				lines = appendSample(lines, name, list[k].labels, f.value(&list[k].of))
			}
		}
		return lines
	})
}

// ordinal distinguishes checks of the same kind and endpoint: " 2" for the second.
func ordinal(k int, all []api.Check) string {
	n := 1
	for i := range k {
		if all[i].Kind == all[k].Kind && all[i].Endpoint == all[k].Endpoint {
			n++
		}
	}
	if n == 1 {
		return ""
	}
	return " " + strconv.Itoa(n)
}

// traffic returns the families of the kernel's counters of services or servers.
func traffic[T any](what string, of func(*T) *api.Stats) []number[T] {
	var out []number[T]
	for _, f := range []number[api.Stats]{
		{counter, "connections_total", "Connections.", func(s *api.Stats) float64 { return float64(s.Connections) }},
		{counter, "incoming_packets_total", "Packets from clients.", func(s *api.Stats) float64 { return float64(s.InPackets) }},
		{counter, "outgoing_packets_total", "Packets to clients, with NAT only.", func(s *api.Stats) float64 { return float64(s.OutPackets) }},
		{counter, "incoming_bytes_total", "Bytes from clients.", func(s *api.Stats) float64 { return float64(s.InBytes) }},
		{counter, "outgoing_bytes_total", "Bytes to clients, with NAT only.", func(s *api.Stats) float64 { return float64(s.OutBytes) }},
	} {
		out = append(out, number[T]{f.kind, what + "_" + f.name, f.help, func(x *T) float64 { return f.value(of(x)) }})
	}
	return out
}
