package director

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/lvs-ha/lvs-ha/ipvs"
	connsync "github.com/lvs-ha/lvs-ha/sync"
)

// countersTimeout is how long a status waits for the kernel's counters before it is returned without them.
const countersTimeout = 3 * time.Second

// counters reads the kernel's table for status requests, on its own connection. Status requests wait for each other, but
// not for changes to the table, and vice versa.
type counters struct {
	open   func(context.Context) (Kernel, error)
	turn   chan struct{} // contains one token
	kernel Kernel        // used by the owner of the token; nil: not open

	last atomic.Pointer[time.Time] // of the last successful reading
}

// observed is a reading of the kernel's state.
type observed struct {
	table   []ipvs.ServiceState
	daemons []connsync.Running
}

func newCounters(open func(context.Context) (Kernel, error)) *counters {
	c := &counters{open: open, turn: make(chan struct{}, 1)}
	c.turn <- struct{}{}
	return c
}

// read returns the kernel's current state.
func (c *counters) read(ctx context.Context) (o observed, err error) {
	ctx, cancel := context.WithTimeout(ctx, countersTimeout)
	defer cancel()
	select {
	case <-c.turn:
		defer func() { c.turn <- struct{}{} }()
	case <-ctx.Done():
		return o, fmt.Errorf("waiting for another status: %w", context.Cause(ctx))
	}
	if c.kernel == nil {
		if c.kernel, err = c.open(ctx); err != nil {
			c.kernel = nil
			return o, err
		}
	}
	at := time.Now()
	if o.table, err = c.kernel.Table(ctx); err != nil {
		return o, err
	}
	if o.daemons, err = c.kernel.Daemons(ctx); err == nil {
		c.last.Store(&at)
	}
	return o, err
}

func (c *counters) close() {
	<-c.turn // reads have a time limit
	if c.kernel != nil {
		c.kernel.Close()
	}
	c.turn <- struct{}{}
}
