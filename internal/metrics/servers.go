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
	of     *T
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
		var numbers []server
		var list []labelled[server]
		var checks []labelled[check]
		if servers {
			numbers, list, checks = make([]server, 0, len(v.Servers)), make([]labelled[server], 0, len(v.Servers)), make([]labelled[check], 0, len(v.Servers))
		}
		for i := range v.Servers {
			r := &v.Servers[i]
			one.count[r.State]++
			if !servers {
				continue
			}
			key := r.ServerKey.String()
			numbers = append(numbers, server{
				up: r.State == healthcheck.Up, inKernel: r.Present, weight: r.Weight, effective: r.Effective, kernelWeight: r.KernelWeight, active: r.Active, inactive: r.Inactive, traffic: r.Stats,
			})
			list = append(list, labelled[server]{g.texts.labels(serverLabels, v.Name, key), &numbers[len(numbers)-1]})
			for k := range r.Checks {
				c := &r.Checks[k]
				labels := g.texts.labels(checkLabels, v.Name, key, c.Kind+ordinal(k, r.Checks), c.Endpoint.String())
				checks = append(checks, labelled[check]{labels, &check{c.State == healthcheck.Up, time.Duration(c.Took)}})
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
	numbers(w, g.servers, serverLabels, []number[server]{
		{gauge, "server_up", "Whether the checks of a real server succeed.", func(r *server) float64 { return truth(r.up) }},
		{gauge, "server_weight", "The configured weight.", func(r *server) float64 { return float64(r.weight) }},
		{gauge, "server_effective_weight", "The weight that checks, agents and orders have made of it.", func(r *server) float64 { return float64(r.effective) }},
	})
	numbers(w, g.checks, checkLabels, []number[check]{
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
	writeTraffic(w, "service", func(add func(labels []byte, s *api.Stats)) {
		for i := range g.services {
			add(labelsOf(serviceLabels, g.services[i].Name), &g.services[i].Stats)
		}
	}, serviceLabels)
	if !servers {
		return
	}
	numbers(w, g.servers, serverLabels, []number[server]{
		{gauge, "server_kernel_weight", "The weight in the kernel's table; 0 if the server is not there.", func(r *server) float64 { return float64(r.kernelWeight) }},
		{gauge, "server_in_kernel", "Whether the server is in the kernel's table.", func(r *server) float64 { return truth(r.inKernel) }},
		{gauge, "server_active_connections", "Established connections.", func(r *server) float64 { return float64(r.active) }},
		{gauge, "server_inactive_connections", "Connections in other states.", func(r *server) float64 { return float64(r.inactive) }},
	})
	writeTraffic(w, "server", func(add func(labels []byte, s *api.Stats)) {
		for _, list := range g.servers {
			for i := range list {
				add(list[i].labels, &list[i].of.traffic)
			}
		}
	}, serverLabels)
}

// numbers writes families with a sample for each element of the lists.
func numbers[T any](w *writer, lists [][]labelled[T], labels []string, families []number[T]) {
	for _, f := range families {
		w.family(f.kind, f.name, f.help, labels...)
		for _, list := range lists {
			for i := range list {
				w.sampleOf(list[i].labels, f.value(list[i].of))
			}
		}
	}
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

// writeTraffic writes the kernel's counters of services or servers.
func writeTraffic(w *writer, what string, each func(add func(labels []byte, s *api.Stats)), labels []string) {
	for _, f := range []number[api.Stats]{
		{counter, "connections_total", "Connections.", func(s *api.Stats) float64 { return float64(s.Connections) }},
		{counter, "incoming_packets_total", "Packets from clients.", func(s *api.Stats) float64 { return float64(s.InPackets) }},
		{counter, "outgoing_packets_total", "Packets to clients, with NAT only.", func(s *api.Stats) float64 { return float64(s.OutPackets) }},
		{counter, "incoming_bytes_total", "Bytes from clients.", func(s *api.Stats) float64 { return float64(s.InBytes) }},
		{counter, "outgoing_bytes_total", "Bytes to clients, with NAT only.", func(s *api.Stats) float64 { return float64(s.OutBytes) }},
	} {
		w.family(f.kind, what+"_"+f.name, f.help, labels...)
		each(func(labels []byte, s *api.Stats) { w.sampleOf(labels, f.value(s)) })
	}
}
