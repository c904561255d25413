package speaker

import (
	"time"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

const (
	// foundAfter is how long virtual addresses may stand on a backup before somebody else must have put them there: the
	// kernel's messages about what we did ourselves are late.
	foundAfter = time.Second

	foundWarning = time.Minute // between warnings, if somebody insists
)

// foundAddresses are virtual addresses that stand on a backup.
type foundAddresses struct {
	timer  timer
	count  uint64
	warned time.Time
}

// watchFound sees to addresses that must not be there.
func (e *engine) watchFound(r *router, now time.Time) {
	switch {
	case r.machine.State() != vrrp.Backup || len(e.present(r)) == 0:
		e.timers.unset(&r.found.timer)
	case r.found.timer.position == 0:
		e.timers.set(&r.found.timer, now.Add(foundAfter))
	}
}

// tellFound has a backup take them off. As long as no master is heard they stay: it may become master of them.
func (e *engine) tellFound(r *router, now time.Time) {
	present := e.present(r)
	if r.removed || e.stopping || !r.idle() || r.machine.State() != vrrp.Backup || len(present) == 0 {
		return
	}
	f := &r.found
	f.count++
	if f.warned.IsZero() || now.Sub(f.warned) >= foundWarning {
		f.warned = now
		e.log.Warn("virtual address found on a backup, left over or added by another program; it is removed once the master is heard",
			"instance", r.instance.Name, "address", r.key.place(present[0]).String())
	}
	e.step(r, vrrp.AddressesFound{}, now)
	e.note(r)
	e.timers.set(&f.timer, now.Add(foundAfter))
}
