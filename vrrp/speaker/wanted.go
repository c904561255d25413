package speaker

import (
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// setWanted applies the director's wanted state. It does not touch routers that already match.
func (e *engine) setWanted(w vrrp.Wanted, now time.Time) {
	e.directorBack(now)
	if e.stopping {
		return
	}
	e.wanted = w
	e.sweepRouting()
	e.setStatic(w.Static)
	e.kernel.limit(w.AnnounceLimits)
	seen := make(map[routerKey]bool, len(w.Instances))
	rejected := map[string]string{}
	owners := map[placed]string{}
	for i := range w.Instances {
		in := &w.Instances[i]
		in.PlaceOnVMAC()
		key := keyOf(&in.Instance)
		if problem := problemOf(in, seen[key], owners); problem != "" {
			rejected[in.Name] = problem
			if e.rejected[in.Name] != problem {
				e.log.Error("instance rejected", "instance", in.Name, "interface", in.Interface, "error", problem)
			}
			continue
		}
		seen[key] = true
		for _, a := range in.Addresses {
			owners[key.place(a)] = in.Name
		}
		e.want(key, in, now)
	}
	e.rejected = rejected
	e.sweepMacvlans()
	e.setRefusedPackets()
	e.inherited = nil
	e.keep(&w)
	e.updateGroups(now)
	var running []*router
	for i := range w.Instances {
		if r := e.routers[keyOf(&w.Instances[i].Instance)]; r != nil {
			running = append(running, r)
		}
	}
	e.updateEach(slices.Values(running), now)
	for key, r := range e.routers {
		if !seen[key] && !r.removed {
			e.remove(r, now)
		}
	}
}

// sweepMacvlans removes the macvlans of a former speaker that are no longer wanted.
func (e *engine) sweepMacvlans() {
	if e.sweptLinks {
		return
	}
	e.sweptLinks = true
	wanted := map[string]bool{}
	for i := range e.wanted.Instances {
		wanted[vmacName(&e.wanted.Instances[i].Instance)] = true
	}
	e.tasks = append(e.tasks, task{sweepLinks: wanted, done: func() {}})
}

// remove makes a router leave permanently.
func (e *engine) remove(r *router, now time.Time) {
	r.removed = true
	e.step(r, vrrp.Resign{Reason: vrrp.ReasonRemoved}, now)
	e.finishRemoval(r, now)
}

// resume continues with the wanted state of the previous speaker until the director sends one, as if the director had just
// disconnected.
func (e *engine) resume(w vrrp.Wanted, now time.Time) {
	e.log.Info("continuing without waiting for the director", "instances", len(w.Instances), "director_grace", w.DirectorGrace.String())
	e.setWanted(w, now)
	e.directorGone(now)
}

func problemOf(in *vrrp.WantedInstance, taken bool, owners map[placed]string) string {
	if errs := in.Validate(); len(errs) > 0 {
		return errs[0].Error()
	}
	if taken {
		return "another instance uses this virtual router id on the interface"
	}
	key := keyOf(&in.Instance)
	for _, a := range in.Addresses {
		// The first of them to become backup would take the address from the other.
		if owner := owners[key.place(a)]; owner != "" {
			return fmt.Sprintf("instance %s already has %s: remove it from one of them", owner, key.place(a))
		}
	}
	return ""
}

// want starts a router, or applies changes to a running one. The caller must then call updateCondition.
func (e *engine) want(key routerKey, in *vrrp.WantedInstance, now time.Time) {
	r := e.routers[key]
	switch {
	case r == nil:
		e.start(key, in, now)
		return
	case r.removed:
		return // it is restarted when it has left
	case r.holder.vmac != vmacName(&in.Instance):
		e.remove(r, now) // it is restarted when it has left
		return
	}
	if !reflect.DeepEqual(r.instance, in.Instance) {
		e.countVirtual(&r.instance, -1)
		e.countVirtual(&in.Instance, +1)
		if r.instance.Name != in.Name {
			e.log.Info("instance renamed", "instance", in.Name, "from", r.instance.Name)
		}
		r.setInstance(in.Instance)
		r.wire = e.moveWire(r.wire, r, wireOf(&r.instance), now)
		if r.vmac != nil && r.vmac.wire != nil {
			r.vmac.wire = e.moveWire(r.vmac.wire, r, r.vmacWire(), now)
		}
		e.step(r, vrrp.Configure{Instance: in.Instance}, now)
		e.watchNeighbors(r)
		e.note(r)
	}
	r.directorTracks = in.Tracks
}

func (e *engine) start(key routerKey, in *vrrp.WantedInstance, now time.Time) {
	r := newRouter(in.Instance, e.wireFor(wireOf(&in.Instance)))
	r.timer.fire = func(now time.Time) { e.step(r, vrrp.Timeout{}, now) }
	r.refused.retry.fire = func(now time.Time) { e.retryRefused(r, now) }
	r.early.fire = func(now time.Time) { e.prepareTakeover(r, now) }
	r.found.timer.fire = func(now time.Time) { e.reportFound(r, now) }
	r.news.timer.fire = func(now time.Time) { e.reportLatestMaster(r, now) }
	r.conflicts.timer.fire = func(now time.Time) { e.reviewConflicts(r, now) }
	r.linger.fire = func(now time.Time) { e.taskDone(r, now) }
	r.wire.add(r)
	e.routers[key] = r
	r.flight = e.flight.Begin(key.Interface, key.Family, key.VirtualRouterID, r.machine, now)
	r.flight.Start(&in.Instance, now)
	e.countVirtual(&r.instance, +1)
	r.adoptUntil, r.tenure = e.inherited[key], e.tenures.begin(key)
	e.log.Info("instance started", "instance", in.Name, "interface", key.Interface, "family", key.Family.String(),
		"virtual_router_id", key.VirtualRouterID, "priority", in.Priority)
	e.note(r)
	r.directorTracks = in.Tracks
	e.startVMAC(r, now)
	e.updateWire(r.wire, now)
}

// finishRemoval deletes a removed router that has left, and starts it again if it is wanted again.
func (e *engine) finishRemoval(r *router, now time.Time) {
	if !r.removed || !r.gone() || e.routers[r.key] != r {
		return
	}
	e.log.Info("instance removed", "instance", r.instance.Name, "interface", r.key.Interface,
		"virtual_router_id", r.key.VirtualRouterID)
	e.timers.unset(&r.timer)
	e.timers.unset(&r.early)
	e.timers.unset(&r.refused.retry)
	e.timers.unset(&r.found.timer)
	e.timers.unset(&r.news.timer)
	e.timers.unset(&r.conflicts.timer)
	e.kernel.watch(r.key, nil)
	e.countVirtual(&r.instance, -1)
	delete(e.routers, r.key)
	r.flight.End(now)
	e.tenures.end(r.tenure)
	r.tenure = nil
	e.leaveWire(r.wire, r, now)
	e.endVMAC(r, now)
	for i := range e.wanted.Instances {
		if in := &e.wanted.Instances[i]; keyOf(&in.Instance) == r.key && e.rejected[in.Name] == "" && !e.stopping {
			e.want(r.key, in, now)
			e.updateGroups(now)
			e.updateCondition(e.routers[r.key], now)
		}
	}
}

func (e *engine) countVirtual(in *vrrp.Instance, by int) {
	for _, a := range in.Addresses {
		addr := in.OnLink(a)
		if e.virtual[addr] += by; e.virtual[addr] == 0 {
			delete(e.virtual, addr)
		}
	}
}
