package ipvs

import (
	"context"
	"errors"
	"syscall"
)

// ErrNothingAdded is the cause of a step that was skipped because it would have left its service without a server.
var ErrNothingAdded = errors.New("no other real server could be added; the old one stays")

// Apply executes a plan. A failing step does not prevent steps for other services or other servers of its service; only
// a step that would leave a service without a server that receives connections is skipped if no other could be added or raised. The error joins a StepError for
// each step that failed. If all of them are drift (IsDrift), another program changed the table at the same time: read it
// again.
func Apply(ctx context.Context, to Applier, plan Plan) error {
	var first, last []Step
	for _, s := range plan.Steps {
		if s.NeedsAdded || s.NeedsOpened {
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
	opened  map[ServiceKey]bool // services with a server that was added or raised, and receives connections
}

func (o *outcome) run(ctx context.Context, to Applier, steps []Step) {
	if len(steps) == 0 {
		return
	}
	if o.missing == nil {
		o.missing, o.added, o.opened = map[ServiceKey]bool{}, map[ServiceKey]bool{}, map[ServiceKey]bool{}
	}
	for i, err := range to.Execute(ctx, steps) {
		o.note(steps[i], err)
	}
}

func (o *outcome) note(s Step, err error) {
	key := s.Service.ServiceKey
	if s.Action == AddDestination && (err == nil || errors.Is(err, syscall.EEXIST)) {
		o.added[key] = true
		o.opened[key] = o.opened[key] || s.Destination.Weight > 0
	}
	if s.Action == EditDestination && err == nil && s.Destination.Weight > 0 {
		o.opened[key] = true
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

// permitted returns the steps that do not leave their service without a server, and records the others as failed.
func (o *outcome) permitted(last []Step) []Step {
	var steps []Step
	for _, s := range last {
		key := s.Service.ServiceKey
		if (!s.NeedsAdded || o.added[key]) && (!s.NeedsOpened || o.opened[key]) {
			steps = append(steps, s)
		} else {
			o.errs = append(o.errs, &StepError{Step: s, Err: ErrNothingAdded})
		}
	}
	return steps
}
