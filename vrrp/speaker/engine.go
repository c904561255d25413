package speaker

import (
	"context"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/flight"
	"github.com/lvs-ha/lvs-ha/internal/histogram"
	"github.com/lvs-ha/lvs-ha/internal/loglimit"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// kernelWorker carries out operations that may block in the kernel.
type kernelWorker interface {
	submit(t task) // addresses and announcements, in order

	// announce sends the first announcements of a few addresses without blocking. announceOn schedules the others,
	// which wakes another thread.
	announce(t task, addresses []vrrp.Address)
	announceOn()

	repeat(h *holder)  // more rounds of the last announcements, soon
	silence(h *holder) // no more announcements
	limit(limits []vrrp.AnnounceLimit)

	// watch looks for other hosts that have a master's addresses, until the list is empty.
	watch(key routerKey, addresses []placed)
}

// engine owns all virtual routers of this process. It belongs to one goroutine and gets the time from its caller;
// everything else is behind sockets, kernelWorker and post.
type engine struct {
	log          *slog.Logger
	outside      *slog.Logger // for messages caused by packets
	sockets      sockets
	kernel       kernelWorker
	post         func(func(now time.Time)) // runs a function on the engine's goroutine later
	clock        func() time.Time          // the wall clock, for trailers, which are compared between hosts
	reportStatic func([]string)            // reports what the kernel refuses of the static configuration
	keep         func(*vrrp.Wanted)        // saves the wanted state for the next speaker; nil clears it

	refusePackets func([]netip.Addr) // makes the kernel drop packets to these addresses only, on the interface that is their zone

	timers     timers
	interfaces map[string]netInterface
	wires      map[socketKey]*wire
	routers    map[routerKey]*router
	groups     map[string]*group  // by name
	virtual    map[netip.Addr]int // number of routers that have the address, see vrrp.OnLink
	wanted     vrrp.Wanted
	rejected   map[string]string // why an instance is not run
	tenures    *tenures
	history    *history
	flight     *flight.Recorder
	inherited  map[routerKey]int64 // tenures of a killed speaker, for the next wanted state
	stopping   bool
	static     static
	swept      bool
	refused    *[]netip.Addr // passed to refusePackets
	accepting  string        // why the kernel does not drop packets to them
	sweptLinks bool          // macvlans of a former speaker have been removed

	directorLost   timer // the end of the grace time
	directorSilent timer
	silent         bool // the director is connected but silent
	abandoned      bool // has handed over because there is no director

	late          histogram.Histogram // of the masters' adverts
	advert        vrrp.Advert         // scratch of receive
	changed       []*router
	unsent        []*wire // with queued adverts
	tasks         []task  // for the keeper, after the adverts
	direct        int     // addresses announced by the loop since the last flush
	prepared      int     // routers since preparedSince
	preparedSince time.Time
}

func newEngine(log *slog.Logger, s sockets, k kernelWorker, post func(func(time.Time))) *engine {
	e := &engine{
		log: log, outside: loglimit.Outside(log), sockets: s, kernel: k, post: post, clock: time.Now,
		keep:          func(*vrrp.Wanted) {},
		refusePackets: func([]netip.Addr) {},
		reportStatic:  func([]string) {},
		static:        static{holder: &holder{}},
		interfaces:    map[string]netInterface{},
		wires:         map[socketKey]*wire{},
		routers:       map[routerKey]*router{},
		groups:        map[string]*group{},
		virtual:       map[netip.Addr]int{},
		rejected:      map[string]string{},
		tenures:       &tenures{now: bootTime},
		history:       newHistory(&series{}),
	}
	e.directorLost.fire = e.handOverAll
	e.directorSilent.fire = e.directorHangs
	return e
}

// work is a queued action.
type work struct {
	vrrp.Action
	linger   bool // wait for handOverDelay first
	at       time.Time
	priority uint8 // at that time
}

// handOverDelay is how long a master that has received its successor's advert keeps its addresses, to serve packets in
// flight. It is short, because both routers answer for the addresses during that time.
const handOverDelay = 5 * time.Millisecond

// An advert may be sent this much early if the loop is awake for another one. This is a small fraction of its interval,
// which does not affect receivers. 50 routers at 10 ms then need 800 wake-ups a second instead of 5,000.
const (
	earlyPart = 8
	earlyMost = 5 * time.Millisecond
)

// step passes an event to a machine and updates the members of its sync group.
func (e *engine) step(r *router, ev vrrp.Event, now time.Time) {
	g := r.group
	if g == nil {
		e.stepAlone(r, ev, now)
		return
	}
	from := r.machine.State()
	e.stepAlone(r, g.rules.Admit(r.machine, ev, now), now)
	e.command(g, g.rules.After(r.machine, from), now)
}

// stepAlone passes an event to a machine and starts the resulting actions.
func (e *engine) stepAlone(r *router, ev vrrp.Event, now time.Time) {
	_, heard := ev.(vrrp.Received)
	from := r.machine.State()
	r.flight.Event(ev, now)
	actions := r.machine.Step(ev, now)
	stays := from == vrrp.Master && r.machine.State() == vrrp.Master
	for _, a := range actions {
		if c, ok := a.(vrrp.Changed); ok {
			r.flight.Changed(c, now)
		}
		if stays && e.needNotWait(r, a, now) || from == vrrp.Backup && e.leadsAtOnce(r, a, now) || r.merges(a) {
			continue
		}
		_, removes := a.(vrrp.RemoveAddresses)
		// With the same MAC address, the switch already sends everything to the successor. A backup has announced no address.
		linger := heard && removes && r.vmac == nil && from != vrrp.Backup
		r.waiting = append(r.waiting, work{a, linger, now, r.machine.Priority()})
	}
	if from == vrrp.Master && r.machine.State() != vrrp.Master {
		r.leads = false
		e.tenures.over(r.tenure)
	}
	e.withdraw(r)
	e.runQueue(r, now)
	switch at, ok := r.machine.Deadline(); {
	case !ok:
		e.timers.unset(&r.timer)
	case r.machine.State() == vrrp.Master:
		e.timers.setSend(&r.timer, at, min(r.instance.AdvertiseInterval/earlyPart, earlyMost))
	default:
		e.timers.set(&r.timer, at)
	}
	e.awaitTakeover(r)
}

// merges reports whether an action can replace the last one queued, or be dropped. A master whose addresses take a long
// time to change need not catch up on adverts, and only the last of a backup's MasterHeard actions is relevant.
func (r *router) merges(a vrrp.Action) bool {
	if len(r.waiting) == 0 {
		return false
	}
	last := &r.waiting[len(r.waiting)-1].Action
	switch a := a.(type) {
	case vrrp.SendAdvert:
		return *last == vrrp.Action(a)
	case vrrp.MasterHeard:
		if _, ok := (*last).(vrrp.MasterHeard); ok {
			*last = a
			return true
		}
	}
	return false
}

// runQueue carries out queued actions up to the first one that may block.
func (e *engine) runQueue(r *router, now time.Time) {
	done := 0
	for done < len(r.waiting) && !r.busy {
		w := &r.waiting[done]
		switch a := w.Action.(type) {
		case vrrp.SendAdvert:
			r.leads = r.machine.State() == vrrp.Master
			e.advertise(r, a.Priority, now)
		case vrrp.Changed:
			if a.To == vrrp.Master {
				e.flushWire(r.out(), now) // a line in the log takes longer than an advert
			}
			e.transition(r, a, w)
		case vrrp.MasterHeard:
			e.masterHeard(r, a, now)
		default:
			if w.linger {
				w.linger, r.busy = false, true
				e.timers.set(&r.linger, now.Add(handOverDelay))
				continue
			}
			if !e.announceAtOnce(r, w.Action, now) {
				done += e.delegate(r, r.waiting[done:], now)
				continue
			}
		}
		done++
	}
	n := copy(r.waiting, r.waiting[done:])
	clear(r.waiting[n:])
	r.waiting = r.waiting[:n]
}

// taskDone continues with the queue after a task is complete.
func (e *engine) taskDone(r *router, now time.Time) {
	r.busy, r.takeover = false, nil
	r.noteAdded()
	e.runQueue(r, now)
	e.finishRemoval(r, now)
}

// delegate submits the leading actions that may block in the kernel to the kernelWorker. It returns their number.
func (e *engine) delegate(r *router, waiting []work, began time.Time) int {
	t := r.task()
	for _, w := range waiting {
		if w.linger || !delegated(w.Action) {
			break
		}
		t.actions = append(t.actions, w.Action)
	}
	r.busy, r.added, r.adding = true, false, t.addsLast()
	if _, adds := t.actions[0].(vrrp.AddAddresses); adds && !r.holds {
		t.claim = &claim{}
	}
	r.takeover = t.claim
	t.done = func() {
		e.post(func(now time.Time) {
			r.noteHeld(t.actions)
			r.recordTask(t.actions, now.Sub(began), now)
			e.carriedOut(r, t.actions, now)
			e.taskDone(r, now)
		})
	}
	e.tasks = append(e.tasks, t)
	if len(e.tasks) >= manyTasks {
		e.flush(began)
	}
	return len(t.actions)
}

func delegated(a vrrp.Action) bool {
	switch a.(type) {
	case vrrp.AddAddresses, vrrp.RemoveAddresses, vrrp.SendAnnouncements:
		return true
	}
	return false
}

// needNotWait carries out an action of a router that stays master, if it need not wait for those that are queued: an advert
// after its first one, and an announcement. Otherwise the adverts of many routers would wait for each other's announcements,
// and their backups take over.
func (e *engine) needNotWait(r *router, a vrrp.Action, now time.Time) bool {
	if !r.leads {
		return false
	}
	switch a := a.(type) {
	case vrrp.SendAdvert:
		e.advertise(r, a.Priority, now)
		return true
	case vrrp.SendAnnouncements:
		if slices.ContainsFunc(r.waiting, func(w work) bool { _, adds := w.Action.(vrrp.AddAddresses); return adds }) {
			return false
		}
		t := r.task()
		t.actions, t.done = []vrrp.Action{a}, func() {}
		e.tasks = append(e.tasks, t)
		return true
	}
	return false
}

// leadsAtOnce sends the first advert of a router that takes over from a silent master while its addresses are still being added.
// The kernel may be slow to add them, and other backups wait for the advert.
func (e *engine) leadsAtOnce(r *router, a vrrp.Action, now time.Time) bool {
	advert, ok := a.(vrrp.SendAdvert)
	if !ok || !r.adding || len(r.waiting) > 0 || r.machine.State() != vrrp.Master {
		return false
	}
	r.leads = true
	e.advertise(r, advert.Priority, now)
	return true
}

func (e *engine) transition(r *router, c vrrp.Changed, w *work) {
	if c.To != vrrp.Master {
		e.kernel.silence(r.holder)
		e.clearConflicts(r)
	}
	if (c.From == vrrp.Master) != (c.To == vrrp.Master) {
		e.watchNeighbors(r)
	}
	e.log.Log(context.Background(), levelOf(c), "state changed", "instance", r.instance.Name, "interface", r.key.Interface, "family", r.key.Family.String(),
		"virtual_router_id", r.key.VirtualRouterID, "from", c.From, "to", c.To, "reason", c.Reason, "priority", w.priority)
	r.countTransition(c)
	e.history.add(vrrp.Transition{Time: w.at, Instance: r.instance.Name, From: c.From, To: c.To, Reason: c.Reason, Priority: w.priority})
	e.note(r)
}

// levelOf returns the log level of a transition: error for a fault; warning for a master that loses mastership, or is
// unfit for it, without an operator's request; info otherwise, including recovery.
func levelOf(c vrrp.Changed) slog.Level {
	if c.To == vrrp.Initialize && c.Reason.IsFault() {
		return slog.LevelError
	}
	switch c.Reason {
	case vrrp.ReasonDirectorLost, vrrp.ReasonNobodyTookOver, vrrp.ReasonHigherPriority, vrrp.ReasonEqualHigherAddress, vrrp.ReasonLapsed:
		return slog.LevelWarn
	}
	if c.Reason.IsFault() {
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// note queues the router's status for the director.
func (e *engine) note(r *router) {
	if !r.changed {
		r.changed = true
		e.changed = append(e.changed, r)
	}
}

// takeChanged returns the statuses that have changed since the last call.
func (e *engine) takeChanged(now time.Time) []vrrp.Status {
	if len(e.changed) == 0 {
		return nil
	}
	out := make([]vrrp.Status, 0, len(e.changed))
	for _, r := range e.changed {
		r.changed = false
		out = append(out, r.status(now))
	}
	clear(e.changed)
	e.changed = e.changed[:0]
	return out
}

// shortestInterval returns the shortest interval between adverts that a router uses, or zero if there is no router.
func (e *engine) shortestInterval() (shortest time.Duration) {
	for _, r := range e.routers {
		if d := r.machine.Interval(); shortest == 0 || d < shortest {
			shortest = d
		}
	}
	return shortest
}

// statuses returns the status of every router.
func (e *engine) statuses(now time.Time) []vrrp.Status {
	out := make([]vrrp.Status, 0, len(e.routers))
	for _, r := range e.routers {
		out = append(out, r.status(now))
	}
	return out
}

// report returns the counters of every router, as a part of its status if that has changed otherwise too.
func (e *engine) report(now time.Time) (statuses []vrrp.Status, counters map[string]vrrp.Counters) {
	counters = make(map[string]vrrp.Counters, len(e.routers))
	for _, r := range e.routers {
		if r.isCounting() {
			counters[r.instance.Name] = r.counters()
		} else {
			statuses = append(statuses, r.status(now))
		}
	}
	return statuses, counters
}

// figures returns what a report says of this process.
func (e *engine) figures() *vrrp.Figures {
	return &vrrp.Figures{PID: os.Getpid(), Sent: e.timers.late, Received: e.late}
}

// setInterface records an interface's new state.
func (e *engine) setInterface(ifc netInterface, now time.Time) {
	former := e.interfaces[ifc.Name]
	if ifc.Index == 0 {
		delete(e.interfaces, ifc.Name)
	} else {
		e.interfaces[ifc.Name] = ifc
	}
	newHardware := former.Index == ifc.Index && !slices.Equal(former.Hardware, ifc.Hardware)
	for _, w := range e.wires {
		if w.key.Interface == ifc.Name {
			e.updateWire(w, now)
		}
	}
	var dependent []*router
	for _, r := range e.routers {
		if r.dependsOn(ifc.Name) {
			dependent = append(dependent, r)
			e.retrySoon(r, now)
			e.prepareSoon(r, now)
		}
	}
	e.updateEach(slices.Values(dependent), now)
	for _, r := range dependent {
		if newHardware && ifc.Name != r.holder.vmac && r.machine.State() == vrrp.Master {
			e.kernel.repeat(r.holder) // neighbours have cached the old hardware address
		}
	}
}

// stop makes every router leave permanently.
func (e *engine) stop(now time.Time) {
	if e.stopping {
		return
	}
	e.stopping = true
	e.keep(nil)
	for _, g := range e.groups {
		e.removeGroup(g) // all members leave anyway
	}
	for _, r := range e.routers {
		e.step(r, vrrp.Resign{Reason: vrrp.ReasonResignStop}, now)
	}
}

// stopped reports whether all routers have left and no work is queued.
func (e *engine) stopped() bool {
	if !e.stopping {
		return false
	}
	for _, r := range e.routers {
		if !r.gone() {
			return false
		}
	}
	return e.staticGone()
}
