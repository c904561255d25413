package realserver

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// System is this machine: what there is on it, and how it is changed.
type System interface {
	Observe(ctx context.Context) (Observed, error)
	Do(ctx context.Context, s Step) error
}

// Server brings a real server up and down, and remembers what it did.
type Server struct {
	System System
	Store  Store
}

// Report is what was done.
type Report struct {
	Steps []Step   `json:"steps"`
	Notes []string `json:"notes,omitempty"`
}

// Up makes this machine what is wanted, in addition to what earlier calls made it. If a step fails, those before it
// are taken back.
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
			// Recorded before it is done: a crash in between must not lose what was there.
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

// subject names what a step is about.
func (s Step) subject() string {
	for _, name := range []string{s.Interface, s.Key, s.Module} {
		if name != "" {
			return name
		}
	}
	return string(s.Action)
}

func (s *Server) rollBack(ctx context.Context, before State, done []Step) error {
	// A deadline that has passed must not keep us from taking back what was done.
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
	return errors.Join(append(errs, s.Store.Save(before.recording(stuck)))...)
}

// Down takes back what Up did for the addresses, or all that it did if none is given. What cannot be taken back
// stays recorded.
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
	errs = append(errs, s.Store.Save(u.left()))
	return report, errors.Join(errs...)
}

// PlanDown is what Down would do.
func (s *Server) PlanDown(ctx context.Context, vips []netip.Addr) (Report, error) {
	u, err := s.planDown(ctx, vips)
	return Report{Steps: u.steps, Notes: u.notes}, err
}

func (s *Server) planDown(ctx context.Context, vips []netip.Addr) (undone, error) {
	state, err := s.Store.Load()
	if err != nil {
		return undone{}, err
	}
	o, err := s.System.Observe(ctx)
	if err != nil {
		return undone{}, err
	}
	return down(state, vips, o), nil
}

// Status says what is right and what is wrong. Without addresses it asks for what earlier calls of Up made.
func (s *Server) Status(ctx context.Context, w Wanted) (Status, error) {
	if len(w.VIPs) == 0 {
		state, err := s.Store.Load()
		if err != nil {
			return Status{}, err
		}
		if len(state.Wanted.VIPs) == 0 {
			return Status{}, errors.New("nothing was set up here: name addresses with --vip ADDRESS or -c FILE")
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
