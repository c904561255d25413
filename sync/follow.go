package connsync

import (
	"context"
	"errors"
	"syscall"
)

// Kernel lists, starts and stops sync daemons.
type Kernel interface {
	Daemons(ctx context.Context) ([]Running, error)
	Start(ctx context.Context, role Role, d Daemon) error
	Stop(ctx context.Context, role Role) error
}

// followAttempts is how often Follow looks again when something else started or stopped a daemon meanwhile.
const followAttempts = 3

// Follow makes the running daemons be the wanted ones and returns the steps that it carried out. It is right after a
// crash as well as in the middle of a life, and may be called at any time. A missing interface (ENODEV) is an error to
// try again after; it does not keep the other role from being brought right.
func Follow(ctx context.Context, k Kernel, wanted []Running) ([]Step, error) {
	var done []Step
	for attempt := 1; ; attempt++ {
		actual, err := k.Daemons(ctx)
		if err != nil {
			return done, err
		}
		steps, err := carryOut(ctx, k, Decide(wanted, actual))
		done = append(done, steps...)
		drifted := errors.Is(err, syscall.EEXIST) || errors.Is(err, syscall.ESRCH)
		if !drifted || attempt == followAttempts {
			return done, err
		}
	}
}

// carryOut tries all steps, except to start what could not be stopped.
func carryOut(ctx context.Context, k Kernel, steps []Step) ([]Step, error) {
	var done []Step
	var errs []error
	stuck := map[Role]bool{}
	for _, s := range steps {
		role := s.Daemon.Role
		var err error
		switch {
		case !s.Start:
			err = k.Stop(ctx, role)
			stuck[role] = err != nil
		case !stuck[role]:
			err = k.Start(ctx, role, s.Daemon.Daemon)
		default:
			continue
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		done = append(done, s)
	}
	return done, errors.Join(errs...)
}
