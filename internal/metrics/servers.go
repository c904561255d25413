package metrics

import (
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
)

// labelled is something that has several samples, with its labels.
type labelled[T any] struct {
	labels string
	of     *T
}

// realServers writes real servers, with their checks and their traffic.
func realServers(w *writer, list []api.Service) {
	var servers []labelled[api.Server]
	var checks []labelled[api.Check]
	for i := range list {
		for j := range list[i].Servers {
			server := &list[i].Servers[j]
			key := server.ServerKey.String()
			servers = append(servers, labelled[api.Server]{labelsOf(serverLabels, list[i].Name, key), server})
			for k := range server.Checks {
				c := &server.Checks[k]
				checks = append(checks, labelled[api.Check]{labelsOf(checkLabels, list[i].Name, key, c.Kind+ordinal(k, server.Checks), c.Endpoint.String()), c})
			}
		}
	}
	numbers(w, servers, serverLabels, []number[api.Server]{
		{gauge, "server_up", "Whether the checks of a real server succeed.", func(r *api.Server) float64 { return truth(r.State == healthcheck.Up) }},
		{gauge, "server_weight", "The configured weight.", func(r *api.Server) float64 { return float64(r.Weight) }},
		{gauge, "server_effective_weight", "The weight that checks, agents and orders have made of it.", func(r *api.Server) float64 { return float64(r.Effective) }},
		{gauge, "server_kernel_weight", "The weight in the kernel's table; 0 if the server is not there.", func(r *api.Server) float64 { return float64(r.KernelWeight) }},
		{gauge, "server_in_kernel", "Whether the server is in the kernel's table.", func(r *api.Server) float64 { return truth(r.Present) }},
		{gauge, "server_active_connections", "Established connections.", func(r *api.Server) float64 { return float64(r.Active) }},
		{gauge, "server_inactive_connections", "Connections in other states.", func(r *api.Server) float64 { return float64(r.Inactive) }},
	})
	writeTraffic(w, "server", func(add func(labels string, s *api.Stats)) {
		for _, s := range servers {
			add(s.labels, &s.of.Stats)
		}
	}, serverLabels)
	numbers(w, checks, checkLabels, []number[api.Check]{
		{gauge, "check_up", "Whether a health check of a real server succeeds.", func(c *api.Check) float64 { return truth(c.State == healthcheck.Up) }},
		{gauge, "check_last_duration_seconds", "How long the last run of a health check took.", func(c *api.Check) float64 { return time.Duration(c.Took).Seconds() }},
	})
	w.family(gauge, "server_override", "Orders of operators in force.", "service", "server", "action")
	for i := range list {
		for j := range list[i].Servers {
			if server := &list[i].Servers[j]; server.Override != nil {
				w.sample(1, list[i].Name, server.ServerKey.String(), string(server.Override.Action))
			}
		}
	}
}

// numbers writes families with a sample for each element of a list.
func numbers[T any](w *writer, list []labelled[T], labels []string, families []number[T]) {
	for _, f := range families {
		w.family(f.kind, f.name, f.help, labels...)
		for _, e := range list {
			w.sampleOf(e.labels, f.value(e.of))
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
func writeTraffic(w *writer, what string, each func(add func(labels string, s *api.Stats)), labels []string) {
	for _, f := range []number[api.Stats]{
		{counter, "connections_total", "Connections.", func(s *api.Stats) float64 { return float64(s.Connections) }},
		{counter, "incoming_packets_total", "Packets from clients.", func(s *api.Stats) float64 { return float64(s.InPackets) }},
		{counter, "outgoing_packets_total", "Packets to clients, with NAT only.", func(s *api.Stats) float64 { return float64(s.OutPackets) }},
		{counter, "incoming_bytes_total", "Bytes from clients.", func(s *api.Stats) float64 { return float64(s.InBytes) }},
		{counter, "outgoing_bytes_total", "Bytes to clients, with NAT only.", func(s *api.Stats) float64 { return float64(s.OutBytes) }},
	} {
		w.family(f.kind, what+"_"+f.name, f.help, labels...)
		each(func(labels string, s *api.Stats) { w.sampleOf(labels, f.value(s)) })
	}
}
