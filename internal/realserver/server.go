package realserver

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// System observes and changes a host.
type System interface {
	Observe(ctx context.Context) (Observed, error)
	Do(ctx context.Context, s Step) error
}

// Server sets up a real server, records its changes and undoes them.
type Server struct {
	System System
	Store  Store
}

// ErrNothingSetUp means that a status was requested without addresses on a host where nothing is recorded.
var ErrNothingSetUp = errors.New("nothing was set up here: name addresses with --vip ADDRESS or -c FILE")

// Report lists the steps that were executed.
type Report struct {
	Steps []Step
	Notes []string
}

// Up establishes the wanted state in addition to that of earlier calls. If a step fails, the previous ones are undone.
func (s *Server) Up(ctx context.Context, w Wanted) (Report, error) {
	state, err := s.Store.Load()
	if err != nil {
		return Report{}, err
	}
	var report Report
	for {
		o, err := s.System.Observe(ctx)
		if err != nil {
			return report, errors.Join(err, s.rollBack(ctx, state, report.Steps))
		}
		steps, err := Up(w, o)
		if err == nil && len(steps) > 0 && slices.ContainsFunc(report.Steps, steps[0].same) {
			err = fmt.Errorf("%s: succeeded, but %s is still missing", steps[0], steps[0].subject())
		}
		if err != nil {
			return report, errors.Join(err, s.rollBack(ctx, state, report.Steps))
		}
		modulesOnly := len(steps) > 0 && steps[0].Action == LoadModule
		if !modulesOnly {
			// Recorded before execution: a crash in between must not lose the previous state.
			if err := s.Store.Save(state.with(w, slices.Concat(report.Steps, steps))); err != nil {
				return report, err
			}
		}
		for _, step := range steps {
			if err := s.System.Do(ctx, step); err != nil {
				err = fmt.Errorf("%s: %w", step, err)
				return report, errors.Join(err, s.rollBack(ctx, state, report.Steps))
			}
			report.Steps = append(report.Steps, step)
		}
		if !modulesOnly {
			return report, nil
		}
	}
}

// subject returns the object that a step changes.
func (s Step) subject() string {
	for _, name := range []string{s.Interface, s.Key, s.Module} {
		if name != "" {
			return name
		}
	}
	return string(s.Action)
}

func (s *Server) rollBack(ctx context.Context, before State, done []Step) error {
	// Roll back even if the deadline has passed.
	ctx = context.WithoutCancel(ctx)
	var errs []error
	var stuck []Step
	for _, step := range slices.Backward(done) {
		back, possible := step.Undo()
		if !possible {
			continue
		}
		if err := s.System.Do(ctx, back); err != nil {
			stuck = append(stuck, step)
			errs = append(errs, fmt.Errorf("undoing the previous steps: %s: %w", back, err))
		}
	}
	slices.Reverse(stuck)
	return errors.Join(append(errs, s.Store.Save(before.add(stuck)))...)
}

// Down undoes the changes that Up made for the addresses, or all changes if none is given. A change that cannot be
// undone stays recorded.
func (s *Server) Down(ctx context.Context, vips []netip.Addr) (Report, error) {
	u, err := s.planDown(ctx, vips)
	if err != nil {
		return Report{}, err
	}
	report := Report{Notes: u.notes}
	var errs []error
	for i, step := range u.steps {
		if err := s.System.Do(ctx, step); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", step, err))
			u.resolved[u.undoes[i]] = false
			continue
		}
		report.Steps = append(report.Steps, step)
	}
	errs = append(errs, s.Store.Save(u.remaining()))
	return report, errors.Join(errs...)
}

// PlanDown returns the steps that Down would execute.
func (s *Server) PlanDown(ctx context.Context, vips []netip.Addr) (Report, error) {
	u, err := s.planDown(ctx, vips)
	return Report{Steps: u.steps, Notes: u.notes}, err
}

func (s *Server) planDown(ctx context.Context, vips []netip.Addr) (undoPlan, error) {
	state, err := s.Store.Load()
	if err != nil {
		return undoPlan{}, err
	}
	o, err := s.System.Observe(ctx)
	if err != nil {
		return undoPlan{}, err
	}
	return down(state, vips, o), nil
}

// Status checks the host. Without addresses it checks those that earlier calls of Up set up.
func (s *Server) Status(ctx context.Context, w Wanted) (Status, error) {
	if len(w.VIPs) == 0 {
		state, err := s.Store.Load()
		if err != nil {
			return Status{}, err
		}
		if len(state.Wanted.VIPs) == 0 {
			return Status{}, ErrNothingSetUp
		}
		w = state.Wanted
	}
	if err := w.Validate(); err != nil {
		return Status{}, err
	}
	o, err := s.System.Observe(ctx)
	if err != nil {
		return Status{}, err
	}
	return Inspect(w, o), nil
}
