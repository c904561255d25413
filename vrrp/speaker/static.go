package speaker

import (
	"net/netip"
	"slices"
	"time"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// static is what is set regardless of any instance: from the first wanted state until the process stops.
type static struct {
	holder            *holder
	wanted            vrrp.Static
	refused, unrouted []string
	removing, removed bool
}

// allRefused is not nil, so that it is sent even if it is empty.
func (s *static) allRefused() []string {
	return append(append([]string{}, s.refused...), s.unrouted...)
}

// has reports whether an address of an interface is set statically.
func (s *static) has(addr netip.Addr, iface string) bool {
	addr = vrrp.OnLink(addr, iface)
	return slices.ContainsFunc(s.wanted.Addresses, func(a vrrp.Address) bool { return vrrp.OnLink(a.Prefix.Addr(), a.Interface) == addr })
}

// setStatic changes what is set statically.
func (e *engine) setStatic(now vrrp.Static) {
	removed, added := e.static.wanted.Changes(&now)
	e.static.wanted = now
	e.static.refused = nil // a removed address is not reported
	var actions []vrrp.Action
	if len(removed.Addresses) > 0 || !removed.Routing.Empty() {
		actions = append(actions, vrrp.RemoveAddresses{Addresses: removed.Addresses, Routing: removed.Routing})
	}
	if len(added.Addresses) > 0 || !added.Routing.Empty() {
		actions = append(actions, vrrp.AddAddresses{Addresses: added.Addresses, Routing: added.Routing})
	}
	if len(actions) > 0 {
		e.tasks = append(e.tasks, task{holder: e.static.holder, name: "static", actions: actions, done: func() {}})
	}
}

// staticGone reports whether the static addresses, routes and rules have been removed. The first call begins that.
func (e *engine) staticGone() bool {
	s := &e.static
	if len(s.wanted.Addresses) == 0 && s.wanted.Routing.Empty() {
		return true
	}
	if !s.removing {
		s.removing = true
		e.kernel.submit(task{
			holder: s.holder, name: "static", actions: []vrrp.Action{vrrp.RemoveAddresses{Addresses: s.wanted.Addresses, Routing: s.wanted.Routing}},
			done: func() { e.post(func(time.Time) { s.removed = true }) },
		})
	}
	return s.removed
}

// setStaticRefused records and reports what the kernel refuses of the static configuration.
func (e *engine) setStaticRefused(addresses, routes []string) {
	s := &e.static
	before := s.allRefused()
	s.refused, s.unrouted = addresses, routes
	now := s.allRefused()
	switch {
	case slices.Equal(before, now):
		return
	case len(now) == 0:
		e.log.Info("static addresses and routes accepted again")
	default:
		e.log.Error("static addresses or routes refused; retrying", "refused", len(now), "error", firstReasons(now))
	}
	e.reportStatic(now)
}

// setRoutesRefused records the routes and rules that the kernel refuses.
func (e *engine) setRoutesRefused(h *holder, all []string) {
	if h == e.static.holder {
		e.setStaticRefused(e.static.refused, all)
		return
	}
	r := e.routers[h.key]
	if r == nil || r.holder != h {
		return
	}
	r.routesRefused = all
	e.note(r)
	if len(all) == 0 {
		e.log.Info("no virtual route is refused any longer", "instance", r.instance.Name)
		return
	}
	e.log.Error("virtual routes or rules refused; retrying", "instance", r.instance.Name, "refused", len(all), "error", firstReasons(all))
}

// sweepRouting removes, once, the routes and rules that a killed process left and that are no longer configured.
func (e *engine) sweepRouting() {
	if e.swept {
		return
	}
	e.swept = true
	keep := map[string]bool{}
	for _, x := range entriesOf(e.wanted.Static.Routing) {
		keep[x.key()] = true
	}
	for i := range e.wanted.Instances {
		for _, x := range entriesOf(e.wanted.Instances[i].Routing) {
			keep[x.key()] = true
		}
	}
	e.tasks = append(e.tasks, task{holder: e.static.holder, name: "static", sweep: keep, done: func() {}})
}
