//go:build !race

package vrrp

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// lan is a deterministic simulation of hosts with one virtual router, or of several networks whose virtual routers form a sync
// group on each host. It runs only when a test advances its time, and the fate of a packet depends only on the seed, sender,
// receiver and packet number: a history always has the same result.
type lan struct {
	now       time.Duration // since epoch
	seed      uint64
	delay     time.Duration // of every packet
	jitter    time.Duration // maximum; packets can overtake each other
	loss      int           // percentage of packets, for each receiver
	lossy     bool          // packets were lost that are not repeated after a partition
	duplicate int           // percentage of packets
	interval  time.Duration // the shortest at the start
	adding    time.Duration // how long it takes to add addresses to an interface; they are removed at once
	prepared  bool          // addresses are added before a hand-over; not so in a sync group
	networks  int
	hosts     []*host
	routers   []*router // of the first network, then of the second, and so on
	flying    []flight
	rules     *rules // checked at every instant; nil if none

	announced [maxNetworks]*router // the router of each network that announced the addresses last

	traced bool
	trace  []string
}

const (
	maxNetworks = 3
	maxHosts    = 7
)

// flight is an event in transit to a router. An announcement is in transit to the hosts and has no receiving router.
type flight struct {
	at       time.Duration
	from, to *router
	what     Event
}

// newLAN returns a network with a router of each host.
func newLAN(seed uint64, routers ...Instance) *lan { return newLANs(seed, 1, 0, routers...) }

// newLANs returns networks with the same hosts. A host's routers have the same configuration, but the interval of each further network
// is longer by stretch times that of the first.
func newLANs(seed uint64, networks, stretch int, instances ...Instance) *lan {
	l := &lan{seed: seed, networks: networks, prepared: networks == 1, delay: 100 * time.Microsecond, adding: time.Millisecond, interval: instances[0].AdvertiseInterval}
	for i, in := range instances {
		l.interval = min(l.interval, in.AdvertiseInterval)
		l.hosts = append(l.hosts, &host{id: i})
	}
	for n := range networks {
		for i, in := range instances {
			in.AdvertiseInterval *= time.Duration(1 + n*stretch)
			r := &router{host: l.hosts[i], index: len(l.routers), network: n, name: fmt.Sprintf("r%d", len(l.routers)), in: in, source: source(i), link: true}
			l.routers = append(l.routers, r)
			r.members = append(r.members, r)
		}
	}
	return l
}

// mix is SplitMix64's finalizer over a hash of its arguments.
func mix(values ...uint64) uint64 {
	var z uint64
	for _, v := range values {
		z += v + 0x9e3779b97f4a7c15
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		z ^= z >> 31
	}
	return z
}

// tell queues an event for a router, which processes it after earlier ones when it is not busy.
func (l *lan) tell(r *router, ev Event) {
	if r.m != nil {
		l.flying = append(l.flying, flight{at: l.now, to: r, what: ev})
	}
}

// step passes an event to a router, carries out the resulting actions, and then those of the rest of its group.
func (l *lan) step(r *router, ev Event) {
	from := r.m.State()
	if r.group != nil {
		ev = r.group.Admit(r.m, ev, r.clock(l.now))
	}
	l.stepAlone(r, ev)
	if r.group != nil {
		for _, c := range r.group.After(r.m, from) {
			i := slices.IndexFunc(r.members, func(o *router) bool { return o.m == c.Member })
			l.stepAlone(r.members[i], c.Event)
		}
	}
	if r.lag > 0 && !l.waits(r.host) {
		r.number++
		late := time.Duration(mix(l.seed, uint64(r.index), r.number, 5) % uint64(r.lag))
		for _, o := range r.members {
			o.busy = max(o.busy, l.now) + late
			r.asleep = max(r.asleep, o.busy)
		}
	}
	if r.stopping && !slices.ContainsFunc(r.members, (*router).running) {
		l.killProcess(r)
	}
}

func (l *lan) stepAlone(r *router, ev Event) {
	if l.traced {
		l.traceEvent(r, ev)
	}
	done, before, sent := l.now, r.m.State(), r.sent
	r.learn(l, ev)
	for _, a := range r.m.Step(ev, r.clock(l.now)) {
		if _, news := a.(MasterHeard); len(r.changes) > 0 && !news {
			done = max(done, r.changes[len(r.changes)-1].at) // actions are carried out in order
		}
		done = l.carryOut(r, a, done)
	}
	if l.rules != nil && r.m.State() != before {
		l.rules.transition(l, r, before, ev, sent)
	}
	if _, early := ev.(Prepare); !early { // it does not wait for the addresses
		r.busy = max(r.busy, done)
	}
}

// waits reports whether more events have arrived for a host's process, which processes all of them before it sleeps again.
func (l *lan) waits(h *host) bool {
	return slices.ContainsFunc(l.flying, func(f flight) bool { return f.to != nil && f.to.host == h && f.at <= l.now })
}

// learn records the parts of an event that the rules need.
func (r *router) learn(l *lan, ev Event) {
	switch ev := ev.(type) {
	case Up:
		r.source = ev.Source
	case Configure:
		r.known.in = ev.Instance
	case SetTracks:
		r.known.tracks = ev.Tracks
	case Received:
		if ev.Priority != PriorityResign {
			r.found = false
		}
		switch {
		case r.m.State() != Backup:
		case ev.Priority == PriorityResign:
			r.resignedAt = r.at(ev.At)
		default:
			r.heardAt = r.at(ev.At)
			if ev.Priority >= r.wantPriority() {
				r.lesserSince = -1
			} else if r.lesserSince < 0 {
				r.lesserSince = l.now
			}
		}
	}
}

// carryOut carries out an action that begins at the given time, and returns when it is complete.
func (l *lan) carryOut(r *router, a Action, at time.Duration) time.Duration {
	switch a := a.(type) {
	case SendAdvert:
		l.broadcast(r, a.Priority, at)
	case SendAnnouncements:
		l.flying = append(l.flying, flight{at: at + l.delay, from: r})
	case AddAddresses:
		if add := bits(a.Addresses); r.future()&add != add {
			at += l.adding
			r.changes = append(r.changes, addressChange{at: at, add: add})
		}
	case RemoveAddresses:
		if at > l.now || len(r.changes) > 0 {
			r.changes = append(r.changes, addressChange{at: at, remove: bits(a.Addresses)})
		} else {
			r.owned &^= bits(a.Addresses)
		}
	case Changed:
		if a.To == Master {
			r.becameMaster = l.now
			r.masterships++
		}
		if l.traced {
			l.note(r, fmt.Sprintf("%s > %s (%s)", a.From, a.To, a.Reason))
		}
	}
	return at
}

// bits returns a set with one bit for each address, by its last byte.
func bits(addresses []Address) uint16 {
	var b uint16
	for _, a := range addresses {
		last := a.Prefix.Addr().As4()[3]
		b |= 1 << (last - 100)
	}
	return b
}

func (l *lan) reaches(from, to *router) bool {
	return from.network == to.network && from.side == to.side && from.link && to.link && !from.mute && !to.deaf
}

func (l *lan) broadcast(from *router, priority uint8, at time.Duration) {
	from.number++
	from.adverts = append(from.adverts, at)
	if priority != PriorityResign {
		from.sent = at
	}
	in := &from.m.in
	for _, to := range l.routers {
		if to.network != from.network {
			continue
		}
		if to != from && priority == PriorityResign && !l.reaches(from, to) {
			l.lossy = true // it leaves without the master on the other side having received its adverts
		}
		if to == from || !l.reaches(from, to) || to.m == nil || in.Version == 2 && in.AdvertiseInterval != to.m.in.AdvertiseInterval {
			continue
		}
		luck := mix(l.seed, uint64(from.index)<<8|uint64(to.index), from.number)
		if int(luck%100) < l.loss {
			continue
		}
		copies := 1
		if int(luck>>16%100) < l.duplicate {
			copies = 2
		}
		for range copies {
			arrival := at + l.delay
			if l.jitter > 0 {
				arrival += time.Duration(luck >> 8 % uint64(l.jitter))
			}
			luck = mix(luck)
			l.flying = append(l.flying, flight{at: arrival, from: from, to: to, what: Received{Source: from.source, Priority: priority, Interval: in.AdvertiseInterval}})
		}
	}
}

// run advances the time by d.
func (l *lan) run(d time.Duration) {
	end := l.now + d
	for events := 0; ; events++ {
		at, arrival, due := l.next()
		if events == 100_000 && l.rules != nil {
			l.rules.fail(l, "the routers do not come to rest")
		}
		if arrival < 0 && due == nil || at > end || events >= 100_000 {
			l.advance(end)
			return
		}
		l.advance(at)
		switch {
		case arrival >= 0:
			f := l.flying[arrival]
			l.flying = slices.Delete(l.flying, arrival, arrival+1)
			l.arrive(f)
		case due.completes(l.now):
			due.complete()
		case l.prepared && due.prepares(l.now):
			l.step(due, Prepare{})
		default:
			l.step(due, Timeout{})
		}
		if l.rules != nil {
			l.rules.after(l)
		}
	}
}

// advance advances the time to a point before which nothing happens.
func (l *lan) advance(to time.Duration) {
	l.now = max(l.now, to)
	if l.rules != nil {
		l.rules.before(l)
	}
}

// next returns the next event: the flight with the index arrival arrives, or the router due has work. Arrived packets are
// read before timers are checked.
func (l *lan) next() (at time.Duration, arrival int, due *router) {
	arrival = -1
	found := false
	for _, r := range l.routers {
		t, ok := r.due(l.prepared)
		if ok && (!found || t < at) {
			at, due, found = t, r, true
		}
	}
	var sentAt time.Duration
	for i := range l.flying {
		f := &l.flying[i]
		t := f.ready()
		if !found || t < at || t == at && (arrival < 0 && !due.completes(t) || arrival >= 0 && f.at < sentAt) {
			at, arrival, sentAt, found = t, i, f.at, true
		}
	}
	return at, arrival, due
}

// ready returns when a flight can be handled. A host tells its routers of changes even while they add addresses: only the actions
// wait.
func (f *flight) ready() time.Duration {
	switch {
	case f.to == nil:
		return f.at
	case f.from == nil:
		return max(f.at, f.to.asleep)
	}
	return max(f.at, f.to.busy)
}

// completes reports whether the addresses that the router is adding are present at t.
func (r *router) completes(t time.Duration) bool { return len(r.changes) > 0 && r.changes[0].at <= t }

// complete carries out the next change of addresses.
func (r *router) complete() {
	r.owned = r.changes[0].apply(r.owned)
	r.changes = slices.Delete(r.changes, 0, 1)
}

// future returns the addresses after all changes.
func (r *router) future() uint16 {
	owned := r.owned
	for _, c := range r.changes {
		owned = c.apply(owned)
	}
	return owned
}

func (c *addressChange) apply(owned uint16) uint16 { return (owned | c.add) &^ c.remove }

func (r *router) due(prepared bool) (time.Duration, bool) {
	next, ok := r.timer(prepared)
	if len(r.changes) > 0 && (!ok || r.changes[0].at <= next) {
		return r.changes[0].at, true
	}
	return next, ok
}

// timer returns when the machine needs a Timeout, or Prepare.
func (r *router) timer(prepared bool) (time.Duration, bool) {
	if r.m == nil {
		return 0, false
	}
	t, ok := r.m.Deadline()
	if early, ok := r.m.Takeover(); prepared && ok && early.Add(-PrepareTime).Before(t) {
		t = early.Add(-PrepareTime)
	}
	if !ok {
		return 0, false
	}
	return max(r.at(t), r.busy), true
}

// prepares reports whether the router adds its addresses now, and its timer has not expired.
func (r *router) prepares(now time.Duration) bool {
	due, _ := r.m.Deadline()
	at, ok := r.m.Takeover()
	return ok && now < r.at(due) && now >= r.at(at.Add(-PrepareTime))
}

func (l *lan) arrive(f flight) {
	if ev, ok := f.what.(Received); ok {
		ev.At = f.to.clock(f.at) // the kernel's time stamp
		f.what = ev
	}
	switch {
	case f.to == nil:
		if f.from.link {
			l.announced[f.from.network] = f.from
		}
	case f.to.m == nil:
	case f.from != nil:
		if f.to.link {
			f.to.heardLast[f.from.id] = f.at
			l.step(f.to, f.what)
		}
	default:
		l.step(f.to, f.what)
	}
}

func (l *lan) in(s State) []*router {
	var out []*router
	for _, r := range l.routers {
		if r.state() == s {
			out = append(out, r)
		}
	}
	return out
}

func (l *lan) owners() int {
	n := 0
	for _, r := range l.routers {
		if r.owned != 0 {
			n++
		}
	}
	return n
}

func (l *lan) note(r *router, what string) {
	if l.traced {
		l.trace = append(l.trace, fmt.Sprintf("%14s %s %s", l.now, r.name, what))
	}
}

func (l *lan) traceEvent(r *router, ev Event) {
	switch ev := ev.(type) {
	case Timeout:
		l.note(r, fmt.Sprintf("timer, priority %d", r.m.Priority()))
	case Received:
		l.note(r, fmt.Sprintf("hears %s, priority %d, %s", ev.Source, ev.Priority, ev.Interval))
	default:
		l.note(r, fmt.Sprintf("%T%+v", ev, ev))
	}
}

func (l *lan) String() string { return strings.Join(l.trace, "\n") }
