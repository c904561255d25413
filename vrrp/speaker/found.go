package speaker

import (
	"time"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

const (
	// foundAfter is how long virtual addresses must be on a backup before they are reported: the kernel's messages about
	// our own changes arrive late.
	foundAfter = time.Second

	foundWarning = time.Minute // minimum time between warnings
)

// foundAddresses tracks virtual addresses found on a backup.
type foundAddresses struct {
	timer  timer
	count  uint64
	warned time.Time
}

// watchFound starts or stops the timer for unexpected addresses on a backup.
func (e *engine) watchFound(r *router, now time.Time) {
	switch {
	case r.machine.State() != vrrp.Backup || len(e.present(r)) == 0:
		e.timers.unset(&r.found.timer)
	case r.found.timer.position == 0:
		e.timers.set(&r.found.timer, now.Add(foundAfter))
	}
}

// reportFound makes a backup remove the addresses. They remain until a master's advert arrives, because the backup may
// become master itself.
func (e *engine) reportFound(r *router, now time.Time) {
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
