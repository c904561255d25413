package director

import (
	"context"
	"fmt"

	"github.com/lvs-ha/lvs-ha/ipvs"
	connsync "github.com/lvs-ha/lvs-ha/sync"
)

// view runs f in the goroutine that owns the state, at once even while that waits for the kernel. f must be short and must
// not change anything.
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

// attend waits for f, which calls the kernel and does not use the director's state. Meanwhile it serves readers and reports
// that the director is alive. The time that the kernel may take is bounded elsewhere.
func (d *Director) attend(f func()) {
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
			d.sayAlive()
		}
	}
}

func (d *Director) sayAlive() {
	d.speaker.Alive()
	if d.Alive != nil && d.ready {
		d.Alive()
	}
}

// attended is a kernel whose calls are made with attend.
type attended struct {
	Kernel
	d *Director
}

// Execute carries out steps.
func (a attended) Execute(ctx context.Context, steps []ipvs.Step) (errs []error) {
	a.d.attend(func() { errs = a.Kernel.Execute(ctx, steps) })
	return errs
}

// Table reads the whole table.
func (a attended) Table(ctx context.Context) (table []ipvs.ServiceState, err error) {
	a.d.attend(func() { table, err = a.Kernel.Table(ctx) })
	return table, err
}

// Lookup reads some services.
func (a attended) Lookup(ctx context.Context, keys []ipvs.ServiceKey) (table []ipvs.ServiceState, err error) {
	a.d.attend(func() { table, err = a.Kernel.Lookup(ctx, keys) })
	return table, err
}

// Timeouts reads the connection timeouts.
func (a attended) Timeouts(ctx context.Context) (t ipvs.Timeouts, err error) {
	a.d.attend(func() { t, err = a.Kernel.Timeouts(ctx) })
	return t, err
}

// SetTimeouts changes the connection timeouts.
func (a attended) SetTimeouts(ctx context.Context, t ipvs.Timeouts) (err error) {
	a.d.attend(func() { err = a.Kernel.SetTimeouts(ctx, t) })
	return err
}

// Daemons lists the sync daemons.
func (a attended) Daemons(ctx context.Context) (running []connsync.Running, err error) {
	a.d.attend(func() { running, err = a.Kernel.Daemons(ctx) })
	return running, err
}

// Start starts a sync daemon.
func (a attended) Start(ctx context.Context, role connsync.Role, daemon connsync.Daemon) (err error) {
	a.d.attend(func() { err = a.Kernel.Start(ctx, role, daemon) })
	return err
}

// Stop stops a sync daemon.
func (a attended) Stop(ctx context.Context, role connsync.Role) (err error) {
	a.d.attend(func() { err = a.Kernel.Stop(ctx, role) })
	return err
}

// openKernel opens another connection to the kernel.
func (d *Director) openKernel(ctx context.Context) (k Kernel, err error) {
	d.attend(func() { k, err = d.OpenKernel(ctx) })
	return k, err
}
