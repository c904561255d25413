package speaker

import (
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/wallclock"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

const (
	// conflictGrace is the time after a transition to master, and after another master's first advert, during which its packets
	// are not evidence of a conflict: it may have sent them before it received our advert. With long intervals it is two intervals.
	conflictGrace = time.Second

	conflictKept   = 3 * probeInterval // how long a conflict lasts without new evidence
	maxConflicts   = 8                 // of each kind, per instance; forged packets could cause thousands
	hiddenEvidence = 3                 // consecutive adverts that only the packet socket has received
)

// conflicts records other masters of a router's addresses.
type conflicts struct {
	open   []vrrp.Conflict
	claims []vrrp.Conflict // other hosts that answer for an address, not yet for as long as the grace
	timer  timer
	hidden int    // consecutive adverts that only the packet socket has received
	heard  uint64 // packets received by the receive socket at that time

	other, refused evidence // other masters' adverts, accepted and refused
}

// evidence is the times of the first and the last of other masters' adverts in a row.
type evidence struct{ since, last time.Time }

// add records an advert, and reports whether such adverts have arrived for longer than the grace.
func (ev *evidence) add(grace, interval time.Duration, now time.Time) bool {
	if now.Sub(ev.last) > max(grace, 2*interval) {
		ev.since = now
	}
	ev.last = now
	return now.Sub(ev.since) >= grace
}

func (c *conflicts) list(now time.Time) []vrrp.Conflict {
	out := slices.Clone(c.open)
	for i := range out {
		out[i].Since, out[i].Last = wallclock.Export(out[i].Since, now), wallclock.Export(out[i].Last, now)
	}
	return out
}

// conflict records evidence of a conflict. The first of its kind is logged.
func (e *engine) conflict(r *router, c vrrp.Conflict, now time.Time) {
	if r.machine.State() != vrrp.Master || now.Sub(r.machine.Since()) < r.conflictGrace() {
		return
	}
	known := 0
	for i := range r.conflicts.open {
		o := &r.conflicts.open[i]
		if o.Kind == c.Kind {
			known++
		}
		if o.Same(c) {
			o.Last, o.Priority = now, c.Priority
			o.Count++
			return
		}
	}
	if known == maxConflicts {
		return
	}
	c.Since, c.Last, c.Count = now, now, 1
	r.conflicts.open = append(r.conflicts.open, c)
	r.flight.Conflict(c, now)
	e.note(r)
	if r.conflicts.timer.position == 0 {
		e.timers.set(&r.conflicts.timer, now.Add(conflictKept))
	}
	log := e.outside.With("instance", r.instance.Name, "interface", r.key.Interface, "conflict", c.Kind)
	if c.Router.IsValid() {
		log = log.With("router", c.Router, "virtual_router_id", c.VirtualRouterID, "priority", c.Priority, "own_priority", r.machine.Priority())
	}
	if c.Reason != "" {
		log = log.With("reason", c.Reason)
	}
	if c.Address.IsValid() {
		log = log.With("address", c.Address)
	}
	if c.Hardware != "" {
		log = log.With("hardware", c.Hardware)
	}
	log.Warn(conflictText[c.Kind])
}

var conflictText = map[vrrp.ConflictKind]string{
	vrrp.ConflictMaster:   "another router is master too and does not yield: it does not receive our adverts",
	vrrp.ConflictHidden:   "another router is master too, but its adverts do not arrive: a packet filter on this host drops them; allow protocol 112",
	vrrp.ConflictRefused:  "another router is master too, and its adverts are refused: make the settings of both equal",
	vrrp.ConflictRouterID: "another router advertises the address with another virtual_router_id: set the same on both",
	vrrp.ConflictAddress:  "another host answers for the virtual address",
}

// reviewConflicts begins those whose grace is over, and ends those without new evidence.
func (e *engine) reviewConflicts(r *router, now time.Time) {
	c := &r.conflicts
	grace := r.conflictGrace()
	for len(c.claims) > 0 && now.Sub(c.claims[0].Since) >= grace {
		e.conflict(r, c.claims[0], now)
		c.claims = c.claims[1:]
	}
	e.endConflicts(r, now)
	if len(c.claims) > 0 {
		e.timers.set(&c.timer, c.claims[0].Since.Add(grace))
	} else {
		c.claims = nil
	}
}

// endConflicts ends the conflicts without new evidence.
func (e *engine) endConflicts(r *router, now time.Time) {
	before := len(r.conflicts.open)
	r.conflicts.open = slices.DeleteFunc(r.conflicts.open, func(c vrrp.Conflict) bool { return now.Sub(c.Last) >= conflictKept })
	if len(r.conflicts.open) < before {
		e.note(r)
	}
	if len(r.conflicts.open) > 0 {
		e.timers.set(&r.conflicts.timer, now.Add(probeInterval))
	} else if before > 0 {
		e.outside.Info("conflict over", "instance", r.instance.Name, "interface", r.key.Interface)
	}
}

// clearConflicts removes the conflicts of a router that is no longer master.
func (e *engine) clearConflicts(r *router) {
	e.timers.unset(&r.conflicts.timer)
	r.conflicts.claims = nil
	if len(r.conflicts.open) > 0 {
		r.conflicts.open = nil
		e.note(r)
	}
}

// watchNeighbors starts or stops the search for other hosts with the router's addresses, which runs while it is master.
func (e *engine) watchNeighbors(r *router) {
	var addresses []placed
	if r.machine.State() == vrrp.Master {
		for _, a := range r.instance.Addresses {
			at := r.key.place(a)
			if at.Interface == r.holder.vmac {
				at.Interface = r.key.Interface // where another host with the same MAC address is seen
			}
			addresses = append(addresses, at)
		}
	}
	e.kernel.watch(r.key, addresses)
}

func (r *router) conflictGrace() time.Duration {
	return max(conflictGrace, 2*r.instance.AdvertiseInterval)
}

// anotherMaster records an advert of another master, e.advert, received by a router that remains master. Two masters whose network
// is whole again hear each other before the lower one yields.
func (e *engine) anotherMaster(r *router, from netip.Addr, now time.Time) {
	if !r.conflicts.other.add(r.conflictGrace(), e.advert.Interval, now) {
		return
	}
	e.conflict(r, vrrp.Conflict{
		Kind: vrrp.ConflictMaster, Router: from.WithZone(""), VirtualRouterID: r.key.VirtualRouterID, Priority: e.advert.Priority,
	}, now)
}

// refusedPause is the shortest time between two refused adverts that are examined: a forged one can have up to 255 addresses.
const refusedPause = conflictGrace / 2

// refusedAdvert records that e.advert was refused because the settings of both routers differ, and lists an address of which this
// one is master. Its router will not hear this one either. Other virtual routers may have the same ID in a network of unicast.
func (e *engine) refusedAdvert(r *router, reason vrrp.DropReason, env vrrp.Envelope, now time.Time) {
	if r.machine.State() != vrrp.Master || e.advert.Priority == vrrp.PriorityResign || now.Sub(r.conflicts.refused.last) < refusedPause {
		return
	}
	source := env.Source.WithZone("")
	if len(r.instance.UnicastPeers) > 0 && env.Destination.IsMulticast() && !slices.Contains(r.instance.UnicastPeers, source) {
		return
	}
	ours := func(a netip.Addr) bool {
		return slices.ContainsFunc(r.instance.Addresses, func(x vrrp.Address) bool { return x.Prefix.Addr() == a })
	}
	if len(e.advert.Addresses) > 0 && !slices.ContainsFunc(e.advert.Addresses, ours) {
		return
	}
	if r.conflicts.refused.add(r.conflictGrace(), e.advert.Interval, now) {
		e.conflict(r, vrrp.Conflict{
			Kind: vrrp.ConflictRefused, Router: source, VirtualRouterID: r.key.VirtualRouterID, Priority: e.advert.Priority, Reason: reason.String(),
		}, now)
	}
}

// otherRouterID looks for our addresses in e.advert, which has another virtual router ID. It runs at most once a second
// per interface, because a forged advert can have up to 255 addresses.
func (e *engine) otherRouterID(w *wire, from netip.Addr, now time.Time) {
	if now.Sub(w.looked) < time.Second {
		return
	}
	w.looked = now
	for _, a := range e.advert.Addresses {
		for _, r := range w.routers {
			if r == nil || r.key.VirtualRouterID == e.advert.VirtualRouterID {
				continue
			}
			here := vrrp.OnLink(a, r.key.Interface)
			if e.virtual[here] == 0 || !slices.ContainsFunc(r.instance.Addresses, func(x vrrp.Address) bool { return r.instance.OnLink(x) == here }) {
				continue
			}
			e.conflict(r, vrrp.Conflict{
				Kind: vrrp.ConflictRouterID, Address: a, Router: from.WithZone(""),
				VirtualRouterID: e.advert.VirtualRouterID, Priority: e.advert.Priority,
			}, now)
			return
		}
	}
}

// addressInUse records that another host has an address of which a router is master. If the router is still master after the grace,
// that is a conflict. Until then, the other may be a better router that has just taken over: its gratuitous ARP can arrive before its
// advert.
func (e *engine) addressInUse(key routerKey, a netip.Addr, mac net.HardwareAddr, now time.Time) {
	r := e.routers[key]
	if r == nil || r.machine.State() != vrrp.Master || now.Sub(r.machine.Since()) < r.conflictGrace() {
		return
	}
	c := vrrp.Conflict{Kind: vrrp.ConflictAddress, Address: a, Hardware: mac.String(), Since: now}
	claims := &r.conflicts.claims
	switch {
	case slices.ContainsFunc(r.conflicts.open, c.Same):
		e.conflict(r, c, now)
	case len(*claims) < maxConflicts && !slices.ContainsFunc(*claims, c.Same):
		*claims = append(*claims, c)
		e.timers.set(&r.conflicts.timer, (*claims)[0].Since.Add(r.conflictGrace()))
	}
}

// advertSniffed compares an advert from the packet socket, which sees packets before packet filters do, with the packets
// of the receive socket.
func (e *engine) advertSniffed(a sniffedAdvert, now time.Time) {
	r := e.routers[a.key]
	if r == nil || a.source == r.source || a.priority == vrrp.PriorityResign {
		return
	}
	if a.destination.IsMulticast() && a.destination != r.instance.Multicast() {
		// The receive socket has not joined that group.
		e.drop(r.wire, r, vrrp.DropDestination, vrrp.Envelope{Family: r.key.Family, Source: a.source, Destination: a.destination}, now)
		e.conflict(r, vrrp.Conflict{
			Kind: vrrp.ConflictMaster, Router: a.source, Hardware: a.hardware.String(), VirtualRouterID: a.key.VirtualRouterID, Priority: a.priority,
		}, now)
		return
	}
	heard := r.received
	if r.drops != nil {
		for _, n := range r.drops.count {
			heard += n
		}
	}
	c := &r.conflicts
	if heard != c.heard {
		c.heard, c.hidden = heard, 0
		return
	}
	if c.hidden++; c.hidden < hiddenEvidence {
		return
	}
	e.conflict(r, vrrp.Conflict{
		Kind: vrrp.ConflictHidden, Router: a.source, Hardware: a.hardware.String(), VirtualRouterID: a.key.VirtualRouterID, Priority: a.priority,
	}, now)
}
