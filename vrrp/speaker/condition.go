package speaker

import (
	"net/netip"
	"time"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// condition is the state of a router's interface: whether it can carry adverts.
type condition struct {
	up     bool
	source netip.Addr  // if up
	reason vrrp.Reason // if not up
}

// conditionOf returns a router's condition.
func (e *engine) conditionOf(r *router) condition {
	ifc := e.interfaces[r.key.Interface]
	switch {
	case ifc.Index == 0:
		return condition{reason: vrrp.ReasonInterfaceMissing}
	case !ifc.Up:
		return condition{reason: vrrp.ReasonInterfaceDown}
	case !e.vmacReady(r):
		return condition{reason: vrrp.ReasonVMAC}
	case r.wire.socket == nil, r.vmac != nil && r.vmac.frames.socket == nil:
		return condition{reason: vrrp.ReasonSocket}
	}
	source := e.sourceOf(r, ifc)
	if !source.IsValid() {
		return condition{reason: vrrp.ReasonNoAddress}
	}
	return condition{up: true, source: source}
}

// sourceOf returns the source address for adverts: the configured one, or the interface's first that is not a virtual
// address. A static address, which is added later than others, is only used if there is no other. For IPv6 it is a link-local
// address (RFC 9568, 5.1.2.1), unless a peer is not on the link.
func (e *engine) sourceOf(r *router, ifc netInterface) netip.Addr {
	if want := r.instance.SourceAddress; want.IsValid() {
		for _, other := range e.interfaces {
			for _, a := range other.Addresses {
				if a.Usable && a.Prefix.Addr() == want.WithZone("") {
					return want.WithZone("")
				}
			}
		}
		return netip.Addr{}
	}
	linkLocal := true
	for _, peer := range r.instance.UnicastPeers {
		linkLocal = linkLocal && peer.IsLinkLocalUnicast()
	}
	var static netip.Addr
	for _, a := range ifc.Addresses {
		addr := a.Prefix.Addr()
		switch {
		case !a.Usable || e.virtual[vrrp.OnLink(addr, ifc.Name)] > 0:
		case r.key.Family == vrrp.IPv4 && addr.Is4(),
			r.key.Family == vrrp.IPv6 && addr.Is6() && addr.IsLinkLocalUnicast() == linkLocal:
			if !e.static.has(addr, ifc.Name) {
				return addr
			}
			if !static.IsValid() {
				static = addr
			}
		}
	}
	return static
}

// present returns the router's addresses that are on their interfaces.
func (e *engine) present(r *router) []vrrp.Address {
	var out []vrrp.Address
	for _, a := range r.instance.Addresses {
		at := r.key.place(a).Interface
		if ifc := e.interfaces[at]; ifc.has(a.Prefix) && (ifc.Up || at != r.holder.vmac) {
			out = append(out, a)
		}
	}
	return out
}

// updateCondition passes the new condition and tracks of a router, and of all members of its sync group, to their
// machines.
func (e *engine) updateCondition(r *router, now time.Time) {
	switch {
	case r.removed, e.stopping:
	case r.group != nil:
		e.updateConditions(r.group.routers, now)
	default:
		e.updateConditions([]*router{r}, now)
	}
}

// opening reports whether a router lacks only what is being prepared.
func (e *engine) opening(r *router, lacks vrrp.Reason) bool {
	switch lacks {
	case vrrp.ReasonSocket:
		return r.wire.opening || r.vmac != nil && r.vmac.frames.opening
	case vrrp.ReasonVMAC:
		return r.vmac.problem == ""
	}
	return false
}

// updateConditions passes on failures first, so that no advert is sent on an interface that is down, and usable
// interfaces last. Members of a group start together, when the sockets of all are open.
func (e *engine) updateConditions(routers []*router, now time.Time) {
	opening := false
	for _, r := range routers {
		e.prepareVMAC(r, now)
		c := e.conditionOf(r)
		if e.opening(r, c.reason) {
			opening = opening || r.state == condition{}
			c = r.state
		}
		r.next = c
		if c != r.state && !c.up {
			r.state = c
			e.step(r, vrrp.Down{Reason: c.reason}, now)
		}
	}
	for _, r := range routers {
		e.reviewAddresses(r)
	}
	shared := e.share(routers)
	for _, r := range routers {
		e.updateTracks(r, shared.of(r), now)
	}
	for _, r := range routers {
		if r.next != r.state && !opening {
			r.state = r.next
			r.source, r.advertReady = r.state.source, false
			e.step(r, e.up(r, now), now)
		}
		e.watchFound(r, now)
	}
}

// up returns the event that a router can run.
func (e *engine) up(r *router, now time.Time) vrrp.Up {
	present := e.present(r)
	all := len(present) == len(r.instance.Addresses)
	adopt := all && r.adoptUntil > 0 && e.tenures.now() < r.adoptUntil
	ev := vrrp.Up{Source: r.source, HaveAddresses: all && (adopt || len(present) > 0), Adopt: adopt}
	if !r.started && !ev.HaveAddresses && (len(present) > 0 || !r.instance.Routing.Empty()) {
		// Only some of a former master's addresses, or possibly its routes: it cannot continue as master.
		r.waiting = append(r.waiting, work{Action: vrrp.RemoveAddresses{Addresses: present, Routing: r.instance.Routing}})
	}
	r.started, r.adoptUntil = true, 0
	return ev
}
