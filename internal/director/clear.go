package director

import (
	"context"
	"errors"
	"time"

	"github.com/lvs-ha/lvs-ha/ipvs"
	connsync "github.com/lvs-ha/lvs-ha/sync"
)

// clear removes kernel state that must not outlive the process: the sync daemons, and the table if on_stop is "remove".
func (d *Director) clear(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, stopWait)
	defer cancel()
	err := retryTransient(ctx, func() error { return d.takeDown(ctx) })
	if err != nil && !errors.Is(err, ipvs.ErrNoIPVS) {
		d.Logger.Error("cleanup at stop failed", "error", err)
	}
}

// retryTransient retries f after transient errors until ctx ends.
func retryTransient(ctx context.Context, f func() error) error {
	for wait := firstRetry; ; wait *= 2 {
		err := f()
		if err == nil || ctx.Err() != nil || !isTransient(err) {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

func (d *Director) takeDown(ctx context.Context) error {
	removes := d.cfg.Director.OnStop == "remove"
	if !d.memory.OwnsSync && !removes {
		return nil
	}
	if d.kernel == nil {
		kernel, err := d.openKernel(ctx)
		if err != nil {
			return err
		}
		d.kernel = kernel
	}
	kernel := awaited{d.kernel, d}
	var errs []error
	if d.memory.OwnsSync {
		_, err := connsync.Follow(ctx, kernel, nil)
		errs = append(errs, err)
		d.remember(d.memory.Owned, err != nil)
	}
	if removes {
		actual, err := kernel.Table(ctx)
		if err == nil {
			err = ipvs.Apply(ctx, loggedApplier{kernel, d.Logger}, ipvs.Diff(nil, actual, d.memory.owns()))
		}
		if err == nil {
			d.remember(nil, d.memory.OwnsSync)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
