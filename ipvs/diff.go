package ipvs

import (
	"cmp"
	"slices"
)

// Diff returns the steps from the actual table to the wanted one. Services in neither wanted nor owned are foreign and
// left alone; owned services that are not wanted are deleted. Keys in wanted are unique; of equal ones, the last is
// used.
//
// The steps are ordered make-before-break. For each service: the service itself, then servers to add, weights to raise,
// other edits, then removals; services to delete come last. A service that receives connections before and after, does so after
// every step. The kernel edits every attribute of a service in place, so a
// change never requires deleting it.
func Diff(wanted []Entry, actual []ServiceState, owned func(ServiceKey) bool) Plan {
	have := make(map[ServiceKey]ServiceState, len(actual))
	for _, a := range actual {
		have[a.ServiceKey] = a
	}
	want := make(map[ServiceKey]int, len(wanted))
	for i, w := range wanted {
		want[w.ServiceKey.normal()] = i
	}
	var plan Plan
	for i, w := range wanted {
		if key := w.ServiceKey.normal(); want[key] == i {
			state, exists := have[key]
			plan.Steps = append(plan.Steps, diffService(w, state, exists)...)
		}
	}
	for _, a := range actual {
		if _, ok := want[a.ServiceKey]; ok {
			continue
		}
		want[a.ServiceKey] = len(wanted) // a dump can repeat an entry
		if owned != nil && owned(a.ServiceKey) {
			plan.Steps = append(plan.Steps, Step{Action: DeleteService, Service: a.Service})
		} else {
			plan.Foreign = append(plan.Foreign, a.ServiceKey)
		}
	}
	return plan
}

func diffService(w Entry, actual ServiceState, exists bool) []Step {
	service := w.Service.withDefaults()
	var steps []Step
	switch before := actual.Service.normal(); {
	case !exists:
		steps = append(steps, Step{Action: AddService, Service: service})
	case before != service:
		steps = append(steps, Step{Action: EditService, Service: service, Changes: changes(before.fields(), service.fields())})
	}
	return append(steps, diffDestinations(service, w.Destinations, actual.Destinations)...)
}

// The order of the steps within a service.
const (
	rankAdd = iota
	rankRaise
	rankEdit
)

func diffDestinations(service Service, wanted []Destination, actual []DestinationState) []Step {
	have := make(map[DestinationKey]Destination, len(actual))
	for _, a := range actual {
		have[a.DestinationKey] = a.Destination.normal()
	}
	want := make(map[DestinationKey]int, len(wanted))
	for i, w := range wanted {
		want[w.DestinationKey.normal()] = i
	}
	type ranked struct {
		rank int
		step Step
	}
	var list []ranked
	kept, opens, open := false, false, false // open: a server receives connections before and after
	for i, w := range wanted {
		w = w.normal()
		if want[w.DestinationKey] != i {
			continue
		}
		before, exists := have[w.DestinationKey]
		kept = kept || exists
		opens, open = opens || w.Weight > 0, open || exists && w.Weight > 0 && before.Weight > 0
		switch {
		case !exists:
			list = append(list, ranked{rankAdd, Step{Action: AddDestination, Service: service, Destination: w}})
		case before != w:
			step := Step{Action: EditDestination, Service: service, Destination: w, Changes: changes(before.fields(), w.fields())}
			rank := rankEdit
			if w.Weight > before.Weight {
				rank = rankRaise
			}
			list = append(list, ranked{rank, step})
		}
	}
	slices.SortStableFunc(list, func(a, b ranked) int { return cmp.Compare(a.rank, b.rank) })
	steps := make([]Step, 0, len(list))
	for _, r := range list {
		if r.step.Action == EditDestination && r.step.Destination.Weight == 0 {
			r.step.NeedsOpened = opens && !open && have[r.step.Destination.DestinationKey].Weight > 0
		}
		steps = append(steps, r.step)
	}
	for _, a := range actual {
		if _, ok := want[a.DestinationKey]; !ok {
			want[a.DestinationKey] = len(wanted) // a dump can repeat an entry
			steps = append(steps, Step{
				Action: DeleteDestination, Service: service, Destination: a.Destination,
				NeedsAdded: !kept && len(wanted) > 0, NeedsOpened: opens && !open && a.Weight > 0,
			})
		}
	}
	return steps
}
