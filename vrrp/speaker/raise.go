package speaker

import (
	"errors"
	"slices"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// tendLinks carries out what a task requires of macvlans.
func (k *keeper) tendLinks(t task) {
	if t.prepare != nil {
		t.prepared(k.links.Prepare(*t.prepare))
	}
	var err error
	switch {
	case t.discard != "":
		err = k.links.Discard(t.discard)
	case t.sweepLinks != nil:
		err = k.links.Sweep(t.sweepLinks)
	}
	if err != nil {
		k.log.Error("cannot remove the interface for a virtual MAC address", "instance", t.name, "error", err)
	}
}

// raise sets the macvlan of a holder up, before it gets addresses.
func (k *keeper) raise(h *holder) {
	if h.vmac == "" {
		return
	}
	ifc := k.lookup(h.vmac)
	var err error
	if h.key.Family == vrrp.IPv6 && !ifc.Up {
		err = k.links.Forward(h.vmac, false)
	}
	mac := h.mac()
	if slices.Equal(ifc.Hardware, mac) {
		mac = nil
	}
	if err = errors.Join(err, k.links.Set(ifc.Index, true, mac)); err != nil {
		k.log.Error("cannot set the interface for the virtual MAC address up", "interface", h.vmac, "error", err)
	}
}

// raised completes raise, after the addresses work.
func (k *keeper) raised(h *holder) {
	if h.vmac == "" || h.key.Family != vrrp.IPv6 {
		return
	}
	if err := k.links.Forward(h.vmac, true); err != nil {
		k.log.Error("cannot configure the interface for the virtual MAC address", "interface", h.vmac, "error", err)
	}
}

// lower sets the macvlan of a holder down if its last addresses are removed, which is done by remove. That takes the kernel
// some 20 ms, but it answers no more at once. IPv6 addresses are removed afterwards: for one that is removed from an
// interface that is up, the kernel sends a report, and switches would direct the virtual MAC address here.
func (k *keeper) lower(t task, removed []vrrp.Address, remove func()) {
	ifc := k.lookup(t.holder.vmac)
	if ifc.Index == 0 || k.retains(t.holder, removed) {
		remove()
		return
	}
	ipv4 := t.holder.key.Family == vrrp.IPv4
	if ipv4 {
		remove()
	}
	if err := k.links.Set(ifc.Index, false, nil); err != nil {
		k.log.Error("cannot set the interface for the virtual MAC address down", "instance", t.name, "interface", ifc.Name, "error", err)
	}
	if !ipv4 {
		remove()
	}
}

// retains reports whether a holder has other addresses on its macvlan than the removed ones.
func (k *keeper) retains(holder *holder, removed []vrrp.Address) bool {
	for at, h := range k.held {
		if h.holder == holder && at.Interface == holder.vmac &&
			!slices.ContainsFunc(removed, func(a vrrp.Address) bool { return holder.key.place(a) == at }) {
			return true
		}
	}
	return false
}
