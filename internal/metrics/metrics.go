package metrics

import (
	"context"
	"io"
	"iter"
	"maps"
	"net/http"
	"slices"
	"strconv"

	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// contentType is that of Prometheus's text format.
const contentType = "text/plain; version=0.0.4; charset=utf-8"

// Survey returns a status without its services, and these as a sequence, each valid until the next.
type Survey func(ctx context.Context) (api.Status, iter.Seq[*api.Service], error)

// Handler serves the metrics of a director. It calls figures after survey. With the parameter servers=false, it leaves out
// those of single real servers.
func Handler(survey Survey, figures func() Figures) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s, services, err := survey(r.Context())
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", contentType)
		_ = Write(w, s, services, figures(), r.URL.Query().Get("servers") != "false") // the client may have disconnected
	})
}

// Write writes a status and its services as metrics, with or without those of single real servers.
func Write(out io.Writer, s api.Status, all iter.Seq[*api.Service], f Figures, servers bool) error {
	w := newWriter(out)
	daemon(w, &s)
	processes(w, f.Processes)
	if len(s.VRRP) > 0 {
		instances(w, s.VRRP)
		transitions(w, s.VRRP)
		lateness(w, &f.Speaker)
		adverts(w, s.VRRP)
	}
	checks(w, f.Checks)
	if list := gather(all, servers); len(list.services) > 0 {
		services(w, list.services)
		if servers {
			realServers(w, &list)
		}
		if !s.KernelUnknown() { // zeros would look like counters that were reset
			inKernel(w, &list, servers)
		}
	}
	return w.flush()
}

// daemon writes what there is once.
func daemon(w *writer, s *api.Status) {
	w.family(gauge, "build_info", "The version of lvs-ha and the name of this node.", "version", "node")
	w.sample(1, s.Version, s.Node)
	w.family(gauge, "start_time_seconds", "When the director started, since 1970.")
	w.time(s.Started)
	w.family(gauge, "config_load_time_seconds", "When the configuration in force was loaded, since 1970.")
	w.time(s.Config.Loaded)
	w.family(gauge, "config_last_reload_successful", "Whether the configuration file was accepted when it was last read.")
	w.flag(s.Config.ReloadError == "" && s.Config.StartError == "")
	w.family(gauge, "config_last_read_time_seconds", "When the configuration file was last read, since 1970.")
	w.time(s.Config.Read)
	w.family(gauge, "config_info", "The digest of the files of the configuration in force.", "digest")
	if s.Config.Digest != "" {
		w.sample(1, s.Config.Digest)
	}
	w.family(gauge, "problem", "Parts that are out of service.", "part")
	seen := map[string]bool{}
	for _, p := range s.Problems {
		if !seen[p.What] {
			w.sample(1, p.What)
		}
		seen[p.What] = true
	}
	w.family(gauge, "ipvs_read_time_seconds", "When the kernel's IPVS table and its counters were last read, since 1970.")
	if !s.KernelRead.IsZero() {
		w.time(s.KernelRead)
	}
	w.family(gauge, "foreign_services", "Virtual services in the kernel that lvs-ha does not own.")
	w.sample(float64(len(s.Foreign)))
	w.family(gauge, "connection_sync_daemon", "Connection-sync daemons that the kernel runs.", "role", "interface", "sync_id")
	for _, d := range s.Sync {
		w.sample(1, d.Role.String(), d.Interface, strconv.FormatUint(uint64(d.SyncID), 10))
	}
	receivers(w, s.Notify)
}

func receivers(w *writer, list []api.Receiver) {
	if len(list) == 0 {
		return
	}
	for _, f := range []struct {
		kind       kind
		name, help string
		value      func(*api.Receiver) float64
	}{
		{gauge, "notifications_waiting", "Notifications that wait for delivery.", func(r *api.Receiver) float64 { return float64(r.Waiting) }},
		{counter, "notifications_delivered_total", "Delivered notifications.", func(r *api.Receiver) float64 { return float64(r.Delivered) }},
		{counter, "notifications_failed_total", "Notifications given up after all attempts.", func(r *api.Receiver) float64 { return float64(r.Failed) }},
		{counter, "notifications_dropped_total", "Notifications dropped because too many were waiting.", func(r *api.Receiver) float64 { return float64(r.Dropped) }},
	} {
		w.family(f.kind, f.name, f.help, "receiver")
		for i := range list {
			w.sample(f.value(&list[i]), list[i].Name)
		}
	}
}

// states are the states of an instance.
var states = []vrrp.State{vrrp.Initialize, vrrp.Backup, vrrp.Master, vrrp.Leaving}

// instances writes the states of VRRP instances.
func instances(w *writer, list []api.Instance) {
	w.family(gauge, "vrrp_info", "The settings of a VRRP instance.", "vrrp_instance", "interface", "virtual_router_id", "family", "group")
	for _, v := range list {
		w.sample(1, v.Name, v.Interface, strconv.Itoa(int(v.VirtualRouterID)), v.Family, v.Group)
	}
	w.family(gauge, "vrrp_state", "1 for the state of a VRRP instance, 0 for the others.", "vrrp_instance", "state")
	for _, v := range list {
		for _, state := range states {
			w.flag(v.State == state, v.Name, string(state))
		}
	}
	w.family(gauge, "vrrp_state_since_seconds", "When the instance entered its state, since 1970.", "vrrp_instance")
	for _, v := range list {
		w.time(v.Since, v.Name)
	}
	w.family(gauge, "vrrp_track_failed", "Whether the last result of something that an instance depends on was bad.", "vrrp_instance", "track", "kind")
	for _, v := range list {
		for _, t := range v.Tracks {
			w.flag(t.Failed, v.Name, t.Name, string(t.Kind))
		}
	}
	w.family(gauge, "vrrp_conflict", "Other hosts that use the addresses or the router ID of a master.", "vrrp_instance", "conflict")
	for _, v := range list {
		count := map[vrrp.ConflictKind]int{}
		for _, c := range v.Conflicts {
			count[c.Kind]++
		}
		for _, k := range slices.Sorted(maps.Keys(count)) {
			w.sample(float64(count[k]), v.Name, string(k))
		}
	}
	numbers(w, named(list), []number[*api.Instance]{
		{gauge, "vrrp_priority", "The configured priority.", func(v **api.Instance) float64 { return float64((*v).Priority) }},
		{gauge, "vrrp_effective_priority", "The priority with the tracks' effects.", func(v **api.Instance) float64 { return float64((*v).EffectivePriority) }},
		{gauge, "vrrp_addresses_refused", "Virtual addresses that the kernel refuses.", func(v **api.Instance) float64 { return float64(len((*v).AddressesRefused)) }},
		{gauge, "vrrp_routes_refused", "Routes and rules that the kernel refuses.", func(v **api.Instance) float64 { return float64(len((*v).RoutesRefused)) }},
		{counter, "vrrp_became_master_total", "Times that the instance became master.", func(v **api.Instance) float64 { return float64((*v).Transitions) }},
		{counter, "vrrp_addresses_restored_total", "Virtual addresses added again after another program had deleted them.", func(v **api.Instance) float64 { return float64((*v).AddressesRestored) }},
	})
}

// number is a family with a sample for each T.
type number[T any] struct {
	kind       kind
	name, help string
	value      func(*T) float64
}

// instanceLabels are the names of the labels of most families of instances.
var instanceLabels = []string{"vrrp_instance"}

func named(list []api.Instance) [][]labelled[*api.Instance] {
	out := make([]labelled[*api.Instance], len(list))
	for i := range list {
		out[i] = labelled[*api.Instance]{labelsOf(instanceLabels, list[i].Name), &list[i]}
	}
	return [][]labelled[*api.Instance]{out}
}

// adverts writes the packets of VRRP instances.
func adverts(w *writer, list []api.Instance) {
	numbers(w, named(list), []number[*api.Instance]{
		{counter, "vrrp_adverts_sent_total", "Adverts sent.", func(v **api.Instance) float64 { return float64((*v).AdvertsSent) }},
		{counter, "vrrp_adverts_received_total", "Adverts received and accepted.", func(v **api.Instance) float64 { return float64((*v).AdvertsReceived) }},
		{counter, "vrrp_send_errors_total", "Adverts that the kernel refused.", func(v **api.Instance) float64 { return float64((*v).SendErrors) }},
		{counter, "vrrp_address_mismatches_total", "Accepted adverts with other addresses than ours.", func(v **api.Instance) float64 { return float64((*v).AddressMismatches) }},
		{counter, "vrrp_announcements_sent_total", "Gratuitous ARP packets and unsolicited neighbour advertisements sent.", func(v **api.Instance) float64 { return float64((*v).AnnouncementsSent) }},
	})
	w.family(counter, "vrrp_dropped_total", "Adverts dropped, by reason.", "vrrp_instance", "reason")
	for _, v := range list {
		for _, reason := range slices.Sorted(maps.Keys(v.Dropped)) {
			w.sample(float64(v.Dropped[reason]), v.Name, reason)
		}
	}
	w.family(counter, "interface_dropped_total", "VRRP packets for no instance on an interface, by reason.", "interface", "reason")
	seen := map[string]bool{}
	for _, v := range list {
		if !seen[v.Interface] {
			for _, reason := range slices.Sorted(maps.Keys(v.InterfaceDropped)) {
				w.sample(float64(v.InterfaceDropped[reason]), v.Interface, reason)
			}
		}
		seen[v.Interface] = true
	}
}

// services writes what lvs-ha knows of virtual services.
func services(w *writer, list []service) {
	w.family(gauge, "service_info", "The settings of a virtual service.", "service", "address", "scheduler")
	for _, v := range list {
		w.sample(1, v.Name, v.ServiceKey.String(), v.Scheduler)
	}
	for _, f := range []number[service]{
		{gauge, "service_up", "Whether the service has its quorum of real servers.", func(v *service) float64 { return truth(v.Quorum.State == healthcheck.Up) }},
		{gauge, "service_quorum_live", "Real servers that receive connections, or the sum of their weights.", func(v *service) float64 { return float64(v.Quorum.Live) }},
		{gauge, "service_quorum_needed", "What the service needs of that.", func(v *service) float64 { return float64(v.Quorum.Needed) }},
	} {
		w.family(f.kind, f.name, f.help, "service")
		for i := range list {
			w.sample(f.value(&list[i]), list[i].Name)
		}
	}
	w.family(gauge, "service_servers", "Real servers of a service by state.", "service", "state")
	for i := range list {
		for _, state := range []healthcheck.State{healthcheck.Up, healthcheck.Down, healthcheck.Unknown} {
			w.sample(float64(list[i].count[state]), list[i].Name, state.String())
		}
	}
}

func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
