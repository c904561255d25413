package speaker

import (
	"net"
	"time"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// virtualMAC is the state of the macvlan that gives a router's addresses the virtual MAC address. The macvlan exists while
// the router is configured, and is set up only while it has addresses, because everything that it sends makes switches
// direct the MAC address to this node.
type virtualMAC struct {
	spec      macvlan
	wire      *wire // of the macvlan while it has addresses, else nil. The kernel then passes frames from its MAC address only to it
	frames    *wire // of the interface below, for adverts from the virtual MAC address
	index     int   // of the macvlan, once prepared
	base      int   // index of the interface below
	busy      bool  // it is being prepared
	problem   string
	accepting string // why the kernel does not drop packets to the addresses
	retry     timer
	pause     time.Duration
	since     time.Time // of the last failure
}

// published is how long to wait for the kernel's message about a prepared macvlan before it is prepared again.
const published = time.Second

func vmacName(in *vrrp.Instance) string {
	if in.VMAC == nil {
		return ""
	}
	return in.VMAC.Interface
}

func (r *router) vmacStatus() *vrrp.VMACStatus {
	v := r.vmac
	if v == nil {
		return nil
	}
	s := &vrrp.VMACStatus{Interface: v.spec.name, Hardware: v.spec.hardware.String(), Problem: v.problem}
	if s.Problem == "" && r.instance.Drops() {
		s.Problem = v.accepting
	}
	return s
}

// out returns the wire that adverts are sent through. Only a master may send from the virtual MAC address: a router that
// has yielded would direct it to itself.
func (r *router) out() *wire {
	v := r.vmac
	if v == nil || r.instance.VMAC.XmitBase || !serves(r.machine.State()) {
		return r.wire
	}
	return v.frames
}

func serves(s vrrp.State) bool { return s == vrrp.Master || s == vrrp.Leaving }

// carriedOut opens the macvlan's socket, which receives another master's adverts, after it got addresses, and closes it after
// they are removed: earlier, the kernel would report the multicast group from the virtual MAC address.
func (e *engine) carriedOut(r *router, actions []vrrp.Action, now time.Time) {
	v := r.vmac
	if v == nil {
		return
	}
	up := v.wire != nil
	for _, a := range actions {
		switch a.(type) {
		case vrrp.AddAddresses:
			up = true
		case vrrp.RemoveAddresses:
			up = serves(r.machine.State())
		}
	}
	e.useMacvlan(r, up, now)
}

// useMacvlan opens or closes the macvlan's socket.
func (e *engine) useMacvlan(r *router, use bool, now time.Time) {
	switch v := r.vmac; {
	case use && v.wire == nil:
		v.wire = e.enterWire(r, r.vmacWire(), now)
	case !use && v.wire != nil:
		e.leaveWire(v.wire, r, now)
		v.wire = nil
	}
}

// vmacWire returns the key of the macvlan's wire.
func (r *router) vmacWire() socketKey {
	key := wireOf(&r.instance)
	key.Interface, key.From = r.holder.vmac, [6]byte(r.holder.mac())
	return key
}

// startVMAC prepares the macvlan of a new router.
func (e *engine) startVMAC(r *router, now time.Time) {
	v := r.vmac
	if v == nil {
		return
	}
	v.spec = macvlan{name: r.holder.vmac, base: r.key.Interface, family: r.key.Family, hardware: r.holder.mac()}
	v.accepting = e.accepting
	v.frames = e.enterWire(r, socketKey{Interface: r.key.Interface, Family: r.key.Family, Frames: true}, now)
	v.retry.fire = func(now time.Time) { e.updateCondition(r, now) }
	e.prepareVMAC(r, now)
}

// endVMAC removes the macvlan of a router that has left.
func (e *engine) endVMAC(r *router, now time.Time) {
	v := r.vmac
	if v == nil {
		return
	}
	e.timers.unset(&v.retry)
	e.leaveWire(v.frames, r, now)
	if v.wire != nil {
		e.leaveWire(v.wire, r, now)
	}
	if !e.stopping { // then all are removed together
		e.tasks = append(e.tasks, task{holder: r.holder, name: r.instance.Name, discard: v.spec.name, done: func() {}})
	}
	for _, other := range e.routers {
		if other.holder.vmac == v.spec.name {
			e.updateCondition(other, now)
		}
	}
}

// vmacReady reports whether the router's macvlan, if it has one, can be used.
func (e *engine) vmacReady(r *router) bool {
	v := r.vmac
	if v == nil {
		return true
	}
	ifc := e.interfaces[v.spec.name]
	return ifc.Index != 0 && ifc.Index == v.index && e.interfaces[r.key.Interface].Index == v.base
}

// prepareVMAC starts to create or adopt the router's macvlan, unless it is ready.
func (e *engine) prepareVMAC(r *router, now time.Time) {
	v := r.vmac
	base := e.interfaces[r.key.Interface].Index
	switch {
	case v == nil || r.removed || e.stopping:
		return
	case e.vmacReady(r):
		e.timers.unset(&v.retry)
		v.pause = 0
		if r.idle() {
			// A killed speaker may have left it up, and then adverts are received only on it.
			e.useMacvlan(r, e.interfaces[v.spec.name].Up || serves(r.machine.State()), now)
		}
		return
	case base == 0 || v.busy || v.retry.position != 0 || e.lentOut(r):
		return
	}
	v.busy = true
	done := func(index int, err error) {
		e.post(func(now time.Time) { e.vmacPrepared(r, index, base, err, now) })
	}
	e.tasks = append(e.tasks, task{holder: r.holder, name: r.instance.Name, prepare: &v.spec, prepared: done, done: func() {}})
}

// lentOut reports whether another router, which is about to leave, still has the macvlan.
func (e *engine) lentOut(r *router) bool {
	for _, other := range e.routers {
		if other != r && other.holder.vmac == r.vmac.spec.name {
			return true
		}
	}
	return false
}

func (e *engine) vmacPrepared(r *router, index, base int, err error, now time.Time) {
	if e.routers[r.key] != r {
		return
	}
	v, former := r.vmac, r.vmac.problem
	v.busy, v.problem = false, ""
	if err != nil {
		v.problem, v.since = err.Error(), now
		v.pause = min(max(2*v.pause, firstRetry), lastRetry)
		e.timers.set(&v.retry, now.Add(v.pause))
		if v.problem != former {
			e.log.Error("cannot create the interface for the virtual MAC address; retrying", "instance", r.instance.Name,
				"interface", r.key.Interface, "vmac", v.spec.name, "error", err)
		}
	} else {
		v.index, v.base = index, base
		e.timers.set(&v.retry, now.Add(published))
	}
	if v.problem != former {
		e.note(r)
	}
	e.updateCondition(r, now)
}

// prepareSoon brings the next attempt to prepare the macvlan forward, after an event on an interface.
func (e *engine) prepareSoon(r *router, now time.Time) {
	v := r.vmac
	if v == nil || v.problem == "" || v.retry.position == 0 {
		return
	}
	if at := later(now, v.since.Add(firstRetry)); at.Before(v.retry.at) {
		e.timers.set(&v.retry, at)
	}
}

// later returns the later of two times.
func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// isVirtualMAC reports whether a MAC address is that of a virtual router (RFC 9568, 7.3), which several hosts may have.
func isVirtualMAC(mac net.HardwareAddr) bool {
	return len(mac) == 6 && mac[0] == 0 && mac[1] == 0 && mac[2] == 0x5e && mac[3] == 0 && (mac[4] == 1 || mac[4] == 2)
}
