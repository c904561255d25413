package director

import (
	"context"
	"fmt"

	"github.com/lvs-ha/lvs-ha/ipvs"
	connsync "github.com/lvs-ha/lvs-ha/sync"
)

// view runs f in the goroutine that owns the state, without delay even while that goroutine waits for the kernel. f must be
// short and must not change the state.
func (d *Director) view(ctx context.Context, f func()) error {
	done := make(chan struct{})
	select {
	case d.views <- func() { f(); close(done) }:
		<-done
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for the director: %w", context.Cause(ctx))
	}
}

// await runs f, which calls the kernel and does not use the director's state. Meanwhile it serves readers and reports
// that the director is alive. The duration of kernel calls is limited elsewhere.
func (d *Director) await(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	for {
		select {
		case <-done:
			return
		case view := <-d.views:
			view()
		case <-d.alive.C:
			d.reportAlive()
		}
	}
}

func (d *Director) reportAlive() {
	d.speaker.Alive()
	d.saveEvents()
	if d.Alive != nil && d.ready {
		d.Alive()
	}
}

// awaited is a kernel whose calls are made with await.
type awaited struct {
	Kernel
	d *Director
}

// Execute executes steps.
func (a awaited) Execute(ctx context.Context, steps []ipvs.Step) (errs []error) {
	a.d.await(func() { errs = a.Kernel.Execute(ctx, steps) })
	return errs
}

// Table reads the whole table.
func (a awaited) Table(ctx context.Context) (table []ipvs.ServiceState, err error) {
	a.d.await(func() { table, err = a.Kernel.Table(ctx) })
	return table, err
}

// Lookup reads some services.
func (a awaited) Lookup(ctx context.Context, keys []ipvs.ServiceKey) (table []ipvs.ServiceState, err error) {
	a.d.await(func() { table, err = a.Kernel.Lookup(ctx, keys) })
	return table, err
}

// Timeouts reads the connection timeouts.
func (a awaited) Timeouts(ctx context.Context) (t ipvs.Timeouts, err error) {
	a.d.await(func() { t, err = a.Kernel.Timeouts(ctx) })
	return t, err
}

// SetTimeouts changes the connection timeouts.
func (a awaited) SetTimeouts(ctx context.Context, t ipvs.Timeouts) (err error) {
	a.d.await(func() { err = a.Kernel.SetTimeouts(ctx, t) })
	return err
}

// Daemons lists the sync daemons.
func (a awaited) Daemons(ctx context.Context) (running []connsync.Running, err error) {
	a.d.await(func() { running, err = a.Kernel.Daemons(ctx) })
	return running, err
}

// Start starts a sync daemon.
func (a awaited) Start(ctx context.Context, role connsync.Role, daemon connsync.Daemon) (err error) {
	a.d.await(func() { err = a.Kernel.Start(ctx, role, daemon) })
	return err
}

// Stop stops a sync daemon.
func (a awaited) Stop(ctx context.Context, role connsync.Role) (err error) {
	a.d.await(func() { err = a.Kernel.Stop(ctx, role) })
	return err
}

// openKernel opens another connection to the kernel.
func (d *Director) openKernel(ctx context.Context) (k Kernel, err error) {
	d.await(func() { k, err = d.OpenKernel(ctx) })
	return k, err
}
