package speaker

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// acceptFilter makes the kernel drop packets to the virtual addresses of instances that do not accept them. The rules are
// independent of the state of the instances, so a failover does not change them.
type acceptFilter struct {
	log    *slog.Logger
	apply  func([]netip.Addr) error
	result func(problem string)
	wake   wakeup
	wanted atomic.Pointer[[]netip.Addr]
}

const acceptRetryGap = 30 * time.Second // after an error

func newAcceptFilter(log *slog.Logger, apply func([]netip.Addr) error) *acceptFilter {
	return &acceptFilter{log: log, apply: apply, wake: newWakeup()}
}

// set replaces the addresses.
func (f *acceptFilter) set(addresses []netip.Addr) {
	f.wanted.Store(&addresses)
	f.wake.notify()
}

// run applies changes until ctx ends, and then removes the rules.
func (f *acceptFilter) run(ctx context.Context) {
	var retry <-chan time.Time
	problem, used := "", false
	for {
		select {
		case <-ctx.Done():
			if used {
				if err := f.apply(nil); err != nil && problem == "" {
					f.log.Warn("packet filter of virtual addresses not removed", "error", err)
				}
			}
			return
		case <-f.wake:
		case <-retry:
		}
		addresses := *f.wanted.Load()
		if used = used || len(addresses) > 0; !used {
			continue // do not load the kernel's module for nothing
		}
		retry = nil
		former := problem
		problem = ""
		if err := f.apply(addresses); err != nil {
			problem = "this host accepts packets to the addresses: " + err.Error()
			retry = time.After(acceptRetryGap)
			if problem != former {
				f.log.Error("packets to virtual addresses are not dropped; retrying", "error", err)
			}
		}
		if problem != former {
			f.result(problem)
		}
	}
}

// setRefusedPackets passes the addresses of all wanted instances that do not accept packets to the filter.
func (e *engine) setRefusedPackets() {
	var addresses []netip.Addr
	for i := range e.wanted.Instances {
		in := &e.wanted.Instances[i].Instance
		if e.rejected[in.Name] != "" || !in.Drops() {
			continue
		}
		for _, a := range in.Addresses {
			at := keyOf(in).place(a)
			addresses = append(addresses, vrrp.OnLink(at.Prefix.Addr(), at.Interface))
		}
	}
	slices.SortFunc(addresses, netip.Addr.Compare)
	if e.refused == nil || !slices.Equal(addresses, *e.refused) {
		e.refused = &addresses
		e.refusePackets(addresses)
	}
}

// setAccepting records why packets are not dropped.
func (e *engine) setAccepting(problem string) {
	e.accepting = problem
	for _, r := range e.routers {
		if r.vmac != nil {
			r.vmac.accepting = problem
			e.note(r)
		}
	}
}
