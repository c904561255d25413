package speaker

import (
	"time"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// directMost is the maximum number of addresses that the loop announces between two flushes; the keeper announces more.
const directMost = 16

// prepareHandOver sets the timer that adds the addresses of a router, or of its whole group, before a takeover from an active
// master.
func (e *engine) prepareHandOver(r *router) {
	at, ok := r.machine.HandOver()
	g := r.group
	if g == nil {
		e.setEarly(&r.early, at, ok)
		return
	}
	e.timers.unset(&r.early)
	if ok || g.early.position != 0 {
		at, ok = g.rules.HandOver()
		e.setEarly(&g.early, at, ok)
	}
}

func (e *engine) setEarly(t *timer, at time.Time, ok bool) {
	if ok {
		e.timers.set(t, at.Add(-vrrp.PrepareTime))
	} else {
		e.timers.unset(t)
	}
}

// prepareGroup adds the addresses of a group's members.
func (e *engine) prepareGroup(g *group, now time.Time) {
	at, ok := g.rules.HandOver()
	for _, r := range g.routers {
		if ok {
			e.stepAlone(r, vrrp.Prepare{At: at}, now)
		}
	}
}

// announceAtOnce carries out an announcement on the loop's goroutine if the addresses are few, and were added successfully by
// the last task. This avoids two wake-ups of other threads before the advert that follows.
func (e *engine) announceAtOnce(r *router, a vrrp.Action) bool {
	s, ok := a.(vrrp.SendAnnouncements)
	if !ok || !r.added || e.direct+len(s.Addresses) > directMost {
		return false
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
