package healthcheck

import (
	"context"
	"sync"
	"time"
)

// deadline is the context of one check. It is equivalent to one made by context.WithTimeout at a quarter of the time and
// memory (BenchmarkDeadline): it does not register with the parent, whose cancellation the scheduler propagates, and it
// creates the channel only on demand.
type deadline struct {
	context.Context // for its values
	at              time.Time
	timer           *time.Timer

	mu    sync.Mutex
	err   error
	done  chan struct{}
	after func()
}

func newDeadline(parent context.Context, timeout time.Duration) *deadline {
	d := &deadline{Context: parent, at: time.Now().Add(timeout)}
	d.start(timeout)
	return d
}

// start ends the context after a time. Without it, somebody else has to end it.
func (d *deadline) start(timeout time.Duration) {
	d.mu.Lock() // the timer may fire before it is stored
	defer d.mu.Unlock()
	if d.err == nil {
		d.timer = time.AfterFunc(timeout, func() { d.end(context.DeadlineExceeded) })
	}
}

// cancel ends the context and releases its timer.
func (d *deadline) cancel() { d.end(context.Canceled) }

func (d *deadline) end(err error) {
	d.mu.Lock()
	if d.err != nil {
		d.mu.Unlock()
		return
	}
	d.err = err
	if d.timer != nil {
		d.timer.Stop()
	}
	if d.done != nil {
		close(d.done)
	}
	after := d.after
	d.after = nil
	d.mu.Unlock()
	if after != nil {
		after()
	}
}

// Deadline implements context.Context.
func (d *deadline) Deadline() (time.Time, bool) { return d.at, true }

// Err implements context.Context.
func (d *deadline) Err() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}

// Done implements context.Context.
func (d *deadline) Done() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.done == nil {
		d.done = make(chan struct{})
		if d.err != nil {
			close(d.done)
		}
	}
	return d.done
}

// whenCancelled arranges for f, which does not block, to be called when the context is cancelled; nil: nothing is called.
func (d *deadline) whenCancelled(f func()) {
	d.mu.Lock()
	d.after = f
	ended := d.err != nil
	d.mu.Unlock()
	if ended && f != nil {
		f()
	}
}

// cut arranges for f to be called when the context ends, unless stop is called first. A deadline supports one f at a time;
// for any other context, cut uses context.AfterFunc.
func cut(ctx context.Context, f func()) (stop func()) {
	d, ours := ctx.(*deadline)
	if !ours {
		unregister := context.AfterFunc(ctx, f)
		return func() { unregister() }
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err != nil {
		go f()
		return func() {}
	}
	d.after = f
	return d.keep
}

// keep cancels the arrangement made by cut.
func (d *deadline) keep() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.after = nil
}
