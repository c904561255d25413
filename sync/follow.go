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

// followAttempts limits retries after concurrent changes by another program.
const followAttempts = 3

// Follow makes the running daemons match the wanted ones and returns the executed steps. It may be called at any time,
// also after a crash. A missing interface (ENODEV) is an error, after which the caller retries; the other role is still
// handled.
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

// carryOut executes all steps, but does not start a daemon that could not be stopped.
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
