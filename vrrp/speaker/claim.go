package speaker

import (
	"slices"
	"sync/atomic"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// claim is held by whoever gets it first: the keeper, which then carries out a task, or the engine, which withdraws it.
type claim struct{ taken atomic.Bool }

// take returns false if the other one has it. A nil claim is always the keeper's.
func (c *claim) take() bool { return c == nil || c.taken.CompareAndSwap(false, true) }

// withdraw cancels a takeover whose addresses have not been added yet, if the router is to remove them. A director that
// takes over many routers by mistake, since it or the master was stalled, otherwise adds, announces and removes the
// addresses of each, which leaves no time to receive the master's adverts.
func (e *engine) withdraw(r *router) {
	if r.takeover == nil || r.vmac != nil || r.machine.State() == vrrp.Master {
		return
	}
	i := slices.IndexFunc(r.waiting, func(w work) bool { _, removes := w.Action.(vrrp.RemoveAddresses); return removes })
	if i < 0 || len(e.present(r)) > 0 || !r.takeover.take() {
		return
	}
	r.waiting = slices.Delete(r.waiting, i, i+1)
	r.waiting = append(slices.DeleteFunc(slices.Clone(r.waiting[:i]), announces), r.waiting[i:]...)
	r.busy, r.adding, r.takeover = false, false, nil
}

func announces(w work) bool {
	_, ok := w.Action.(vrrp.SendAnnouncements)
	return ok
}

// noteHeld records whether the router has addresses after a task.
func (r *router) noteHeld(actions []vrrp.Action) {
	for _, a := range actions {
		switch a.(type) {
		case vrrp.AddAddresses:
			r.holds = true
		case vrrp.RemoveAddresses:
			r.holds = false
		}
	}
}
