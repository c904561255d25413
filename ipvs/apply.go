package ipvs

import (
	"context"
	"errors"
	"syscall"
)

// ErrNothingAdded is the cause of a removal that was skipped because it would have left its service empty.
var ErrNothingAdded = errors.New("no other real server could be added; the old one stays")

// Apply executes a plan. A failing step does not prevent steps for other services or other servers of its service; only
// a removal that would leave a service empty is skipped if nothing could be added to it. The error joins a StepError for
// each step that failed. If all of them are drift (IsDrift), another program changed the table at the same time: read it
// again.
func Apply(ctx context.Context, to Applier, plan Plan) error {
	var first, last []Step
	for _, s := range plan.Steps {
		if s.NeedsAdded {
			last = append(last, s)
		} else {
			first = append(first, s)
		}
	}
	var out outcome
	out.run(ctx, to, first)
	out.run(ctx, to, out.permitted(last))
	return errors.Join(out.errs...)
}

// outcome is the result of the steps so far.
type outcome struct {
	errs    []error
	missing map[ServiceKey]bool // services that could not be added
	added   map[ServiceKey]bool // services with a server that was added or already existed
}

func (o *outcome) run(ctx context.Context, to Applier, steps []Step) {
	if len(steps) == 0 {
		return
	}
	if o.missing == nil {
		o.missing, o.added = map[ServiceKey]bool{}, map[ServiceKey]bool{}
	}
	for i, err := range to.Execute(ctx, steps) {
		o.note(steps[i], err)
	}
}

func (o *outcome) note(s Step, err error) {
	key := s.Service.ServiceKey
	if s.Action == AddDestination && (err == nil || errors.Is(err, syscall.EEXIST)) {
		o.added[key] = true
	}
	if err == nil {
		return
	}
	if s.Action == AddService && !errors.Is(err, syscall.EEXIST) {
		o.missing[key] = true
	}
	if !s.onService() && o.missing[key] && errors.Is(err, syscall.ESRCH) {
		return // a consequence of the service's own error
	}
	if _, ok := errors.AsType[*StepError](err); !ok {
		err = &StepError{Step: s, Err: err}
	}
	o.errs = append(o.errs, err)
}

// permitted returns the removals that do not leave their service empty, and records the others as failed.
func (o *outcome) permitted(removals []Step) []Step {
	var steps []Step
	for _, s := range removals {
		if o.added[s.Service.ServiceKey] {
			steps = append(steps, s)
		} else {
			o.errs = append(o.errs, &StepError{Step: s, Err: ErrNothingAdded})
		}
	}
	return steps
}
