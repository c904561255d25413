package metrics

import (
	"maps"
	"slices"

	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// Figures are what only the metrics have.
type Figures struct {
	Speaker   vrrp.Figures
	Checks    map[healthcheck.Kind]healthcheck.KindFigures
	Processes []Process
}

// processes writes what each process uses.
func processes(w *writer, list []Process) {
	if len(list) == 0 {
		return
	}
	all := make([]labelled[Process], len(list))
	names := []string{"process"}
	for i := range list {
		all[i] = labelled[Process]{labelsOf(names, list[i].Name), list[i]}
	}
	numbers(w, [][]labelled[Process]{all}, []number[Process]{
		{counter, "process_cpu_seconds_total", "CPU time of a process.", func(p *Process) float64 { return p.CPU.Seconds() }},
		{gauge, "process_resident_memory_bytes", "Resident memory of a process.", func(p *Process) float64 { return float64(p.Memory) }},
		{gauge, "process_start_time_seconds", "When a process started, since 1970.", func(p *Process) float64 { return float64(p.Started.UnixMilli()) / 1000 }},
	})
	w.family(gauge, "process_open_fds", "Open file descriptors of a process.", names...)
	for _, p := range all {
		if p.of.Files > 0 {
			w.sampleOf(p.labels, float64(p.of.Files))
		}
	}
}

// transitions writes the transitions of instances by state and reason.
func transitions(w *writer, list []api.Instance) {
	w.family(counter, "vrrp_transitions_total", "Transitions of an instance, by its new state and the reason.", "vrrp_instance", "state", "reason")
	for i := range list {
		for _, t := range list[i].TransitionCounts {
			w.sample(float64(t.Count), list[i].Name, string(t.To), string(t.Reason))
		}
	}
}

// lateness writes how late adverts were.
func lateness(w *writer, f *vrrp.Figures) {
	w.family(histogramKind, "vrrp_advert_send_lateness_seconds", "From when an advert was due to when the speaker began to send it.")
	w.histogram(&f.Sent)
	w.family(histogramKind, "vrrp_advert_receive_lateness_seconds", "Time from one advert of a backup's master to the next, less the advert interval.")
	w.histogram(&f.Received)
}

// passed stands for the reason of a check that has not failed.
const passed = "passed"

// checks writes what the health checks of each kind have done.
func checks(w *writer, all map[healthcheck.Kind]healthcheck.KindFigures) {
	if len(all) == 0 {
		return
	}
	kinds := slices.Sorted(maps.Keys(all))
	w.family(histogramKind, "check_duration_seconds", "How long health checks took.", "kind")
	for _, k := range kinds {
		f := all[k]
		w.histogram(&f.Took, string(k))
	}
	w.family(histogramKind, "check_lateness_seconds", "Delays of the starts of health checks.", "kind")
	for _, k := range kinds {
		f := all[k]
		w.histogram(&f.Late, string(k))
	}
	w.family(counter, "check_results_total", "Results of health checks: passed, or the reason why not.", "kind", "result")
	for _, k := range kinds {
		for _, reason := range slices.Sorted(maps.Keys(all[k].Results)) {
			result := string(reason)
			if result == "" {
				result = passed
			}
			w.sample(float64(all[k].Results[reason]), string(k), result)
		}
	}
}
