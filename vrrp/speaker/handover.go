package speaker

import (
	"time"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// directMost is the maximum number of addresses that the loop announces between two flushes; the keeper announces more.
const directMost = 16

// awaitTakeover sets the timer that adds the addresses of a router, or of its whole group, before its takeover.
func (e *engine) awaitTakeover(r *router) {
	if at, ok := r.machine.Takeover(); ok {
		e.timers.set(&r.early, at.Add(-vrrp.PrepareTime))
	} else {
		e.timers.unset(&r.early)
	}
}

// At most preparedMost routers, and their groups, get their addresses ahead of their takeovers within preparedTime. When hundreds
// take over together, each of the others needs one task of the keeper instead of two.
const (
	preparedMost = 16
	preparedTime = 100 * time.Millisecond
)

// prepareTakeover adds the addresses of a router and of all members of its group.
func (e *engine) prepareTakeover(r *router, now time.Time) {
	if now.Sub(e.preparedSince) > preparedTime {
		e.prepared, e.preparedSince = 0, now
	}
	if e.prepared++; e.prepared > preparedMost {
		return
	}
	if r.group == nil {
		e.step(r, vrrp.Prepare{}, now)
		return
	}
	if at, ok := r.group.rules.Takeover(r.machine); ok {
		for _, o := range r.group.routers {
			e.stepAlone(o, vrrp.Prepare{At: at}, now)
		}
	}
}

// announceAtOnce carries out an announcement on the loop's goroutine if the addresses are few, and were added successfully by
// the last task. This avoids two wake-ups of other threads. After a silent master's time, the advert goes first: other backups
// wait for it.
func (e *engine) announceAtOnce(r *router, a vrrp.Action, now time.Time) bool {
	s, ok := a.(vrrp.SendAnnouncements)
	if !ok || !r.added || e.direct+len(s.Addresses) > directMost {
		return false
	}
	if r.leads {
		e.flushWire(r.out(), now)
	}
	r.added = false
	e.direct += len(s.Addresses)
	e.kernel.announce(r.task(), s.Addresses)
	return true
}

// task returns a task without actions.
func (r *router) task() task {
	return task{holder: r.holder, name: r.instance.Name, count: r.instance.Announce.Count}
}

// noteAdded records the result of the task that is complete: whether it ended by adding addresses, none of which was
// refused.
func (r *router) noteAdded() {
	r.added = r.adding && len(r.refused.lacking) == 0
	r.adding = false
}

// addsLast reports whether a task ends by adding addresses.
func (t task) addsLast() bool {
	if len(t.actions) == 0 {
		return false
	}
	_, adds := t.actions[len(t.actions)-1].(vrrp.AddAddresses)
	return adds
}
