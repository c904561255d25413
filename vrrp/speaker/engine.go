package speaker

import (
	"log/slog"
	"net/netip"
	"time"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// hands carry out what may wait for the kernel.
type hands interface {
	submit(t task)            // addresses and announcements, in order
	silence(router routerKey) // no more announcements
}

// engine owns all virtual routers of this process. It belongs to one goroutine and knows the time only from its
// caller; everything else is behind sockets, hands and post.
type engine struct {
	log     *slog.Logger
	sockets sockets
	hands   hands
	post    func(func(now time.Time)) // runs a function on the engine's goroutine later

	timers     timers
	interfaces map[string]netInterface
	wires      map[socketKey]*wire
	routers    map[routerKey]*router
	virtual    map[netip.Addr]int // how many routers have the address
	wanted     vrrp.Wanted
	refused    map[string]string // what is wrong with an instance that is not run
	adopt      bool              // the next wanted state's addresses may be a killed speaker's
	stopping   bool

	directorLost timer
	abandoned    bool // handed over for want of a director

	advert  vrrp.Advert // scratch of receive
	changed []*router
}

// adoptWithin is how long after it is wanted an instance may still go on as master of the addresses it finds. Later
// another router will have taken over.
const adoptWithin = time.Second

func newEngine(log *slog.Logger, s sockets, h hands, post func(func(time.Time))) *engine {
	e := &engine{
		log: log, sockets: s, hands: h, post: post,
		interfaces: map[string]netInterface{},
		wires:      map[socketKey]*wire{},
		routers:    map[routerKey]*router{},
		virtual:    map[netip.Addr]int{},
		refused:    map[string]string{},
	}
	e.directorLost.fire = e.abandon
	return e
}

// step gives a machine an event and starts what it wants done.
func (e *engine) step(r *router, ev vrrp.Event, now time.Time) {
	for _, a := range r.machine.Step(ev, now) {
		if n := len(r.waiting); n > 0 {
			// A master whose addresses take long does not owe the adverts of the meantime.
			if ad, ok := a.(vrrp.SendAdvert); ok && r.waiting[n-1] == vrrp.Action(ad) {
				continue
			}
		}
		r.waiting = append(r.waiting, a)
	}
	e.proceed(r, now)
	if at, ok := r.machine.Deadline(); ok {
		e.timers.set(&r.timer, at)
	} else {
		e.timers.unset(&r.timer)
	}
}

// proceed carries out waiting actions up to the first that the keeper has to work on.
func (e *engine) proceed(r *router, now time.Time) {
	done := 0
	for done < len(r.waiting) && !r.busy {
		switch a := r.waiting[done].(type) {
		case vrrp.SendAdvert:
			e.advertise(r, a.Priority, now)
		case vrrp.Changed:
			e.transition(r, a)
		case vrrp.MasterHeard:
			e.log.Info("master heard", "instance", r.instance.Name, "master", a.Address, "priority", a.Priority,
				"advertise_interval", a.Interval)
			e.note(r)
		default:
			done += e.delegate(r, r.waiting[done:])
			continue
		}
		done++
	}
	n := copy(r.waiting, r.waiting[done:])
	clear(r.waiting[n:])
	r.waiting = r.waiting[:n]
}

// delegate hands over the leading actions that may wait for the kernel. It returns how many.
func (e *engine) delegate(r *router, actions []vrrp.Action) int {
	t := task{router: r.key, name: r.instance.Name, counts: r.counts, count: r.instance.Announce.Count}
	for _, a := range actions {
		switch a.(type) {
		case vrrp.AddAddresses, vrrp.RemoveAddresses, vrrp.SendAnnouncements:
			t.actions = append(t.actions, a)
			continue
		}
		break
	}
	r.busy = true
	t.done = func() {
		e.post(func(now time.Time) {
			r.busy = false
			e.proceed(r, now)
			e.bury(r, now)
		})
	}
	e.hands.submit(t)
	return len(t.actions)
}

func (e *engine) transition(r *router, c vrrp.Changed) {
	if c.To != vrrp.Master {
		e.hands.silence(r.key)
	}
	e.log.Info("state changed", "instance", r.instance.Name, "interface", r.key.Interface, "family", r.key.Family,
		"virtual_router_id", r.key.VirtualRouterID, "from", c.From, "to", c.To, "reason", c.Reason, "priority", r.machine.Priority())
	e.note(r)
}

// note makes the router's status known to the director.
func (e *engine) note(r *router) {
	if !r.changed {
		r.changed = true
		e.changed = append(e.changed, r)
	}
}

// takeChanged returns the statuses that have changed since it was last called.
func (e *engine) takeChanged() []vrrp.Status {
	if len(e.changed) == 0 {
		return nil
	}
	out := make([]vrrp.Status, 0, len(e.changed))
	for _, r := range e.changed {
		r.changed = false
		out = append(out, r.status())
	}
	clear(e.changed)
	e.changed = e.changed[:0]
	return out
}

// statuses returns the status of every router.
func (e *engine) statuses() []vrrp.Status {
	out := make([]vrrp.Status, 0, len(e.routers))
	for _, r := range e.routers {
		out = append(out, r.status())
	}
	return out
}

// setInterface notes what an interface has become.
func (e *engine) setInterface(ifc netInterface, now time.Time) {
	if ifc.Index == 0 {
		delete(e.interfaces, ifc.Name)
	} else {
		e.interfaces[ifc.Name] = ifc
	}
	for _, w := range e.wires {
		if w.key.Interface == ifc.Name {
			e.tendWire(w, now)
		}
	}
	for _, r := range e.routers {
		if r.dependsOn(ifc.Name) {
			e.tend(r, now)
		}
	}
}

// stop makes every router leave for good.
func (e *engine) stop(now time.Time) {
	if e.stopping {
		return
	}
	e.stopping = true
	for _, r := range e.routers {
		e.step(r, vrrp.Resign{Reason: vrrp.ReasonResignStop, Final: true}, now)
	}
}

// stopped says that all have left and nothing is left to be done.
func (e *engine) stopped() bool {
	if !e.stopping {
		return false
	}
	for _, r := range e.routers {
		if !r.gone() {
			return false
		}
	}
	return true
}
