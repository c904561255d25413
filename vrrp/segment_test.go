package vrrp

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"time"
)

// segment is a small simulated network with one virtual router, used to test groups. It runs only when a test advances its
// time.
type segment struct {
	now     time.Duration // since epoch
	delay   time.Duration // of every packet
	adding  time.Duration // how long it takes to add addresses to an interface; they are removed immediately
	loss    float64       // fraction of packets lost, for each receiver
	rand    *rand.Rand
	routers []*member
	flying  []onTheWay
	watch   func(l *segment) // called after all events of one instant

	history []string
}

// member is a machine on the segment, with its own clock and the addresses on its interface.
type member struct {
	name   string
	m      *Machine
	source netip.Addr
	offset time.Duration // of its clock
	tracks []Track
	group  *sites // nil: none
	side   int    // packets reach only routers on the same side
	dead   bool
	owns   bool
	adding bool          // addresses, which it owns when it is no longer busy
	busy   time.Duration // until then it carries out the actions of its last step

	becameMaster time.Duration
	masterships  int
}

// onTheWay is a packet in transit to one receiver.
type onTheWay struct {
	at   time.Duration
	to   *member
	what Received
}

func newSegment(seed uint64, routers ...Instance) *segment {
	l := &segment{delay: 100 * time.Microsecond, adding: time.Millisecond, rand: rand.New(rand.NewPCG(seed, seed)), watch: func(*segment) {}}
	addr := netip.MustParseAddr("10.0.0.1")
	for i, in := range routers {
		l.routers = append(l.routers, &member{name: fmt.Sprintf("r%d", i), m: NewMachine(in), source: addr})
		addr = addr.Next()
	}
	return l
}

// start brings a router up.
func (l *segment) start(r *member) { l.tell(r, Up{Source: r.source}) }

// tell queues an event for a router, which processes it when it is not busy.
func (l *segment) tell(r *member, ev Event) {
	if r.busy > l.now {
		l.run(r.busy - l.now)
	}
	l.step(r, ev)
}

// without returns the track without an effect.
func without(t Track) Track {
	t.Effect = EffectNone
	return t
}

// kill simulates a power failure: the router and its addresses are gone.
func (l *segment) kill(r *member) {
	l.log(r, "killed")
	r.dead, r.owns = true, false
}

// step passes an event to a router and carries out the resulting actions.
func (l *segment) step(r *member, ev Event) {
	if r.dead {
		return
	}
	done, adds := l.now, false
	before := r.m.State()
	if r.group != nil {
		ev = r.group.rules.Admit(r.m, ev, epoch.Add(l.now+r.offset))
		defer func() {
			if r.m.State() != before {
				r.group.follow(l, r, before)
			}
		}()
	}
	for _, a := range r.m.Step(ev, epoch.Add(l.now+r.offset)) {
		switch a := a.(type) {
		case SendAdvert:
			l.broadcast(r, a.Priority, done)
		case AddAddresses:
			done += l.adding
			adds = true
		case RemoveAddresses:
			r.owns = false
		case Changed:
			l.log(r, fmt.Sprintf("%s > %s (%s)", a.From, a.To, a.Reason))
			if a.To == Master {
				r.becameMaster = l.now
				r.masterships++
			}
		}
	}
	if adds {
		r.adding = true
		r.busy = done
	}
}

func (l *segment) log(r *member, what string) {
	l.history = append(l.history, fmt.Sprintf("%12s %s (priority %d) %s", l.now, r.name, r.m.Priority(), what))
}

func (l *segment) broadcast(from *member, priority uint8, at time.Duration) {
	for _, to := range l.routers {
		if to == from || to.side != from.side || l.rand.Float64() < l.loss {
			continue
		}
		in := from.m.in
		if in.Version == 2 && in.AdvertiseInterval != to.m.in.AdvertiseInterval {
			continue
		}
		l.flying = append(l.flying, onTheWay{at + l.delay, to, Received{Source: from.source, Priority: priority, Interval: in.AdvertiseInterval}})
	}
}

// run advances the time by d.
func (l *segment) run(d time.Duration) {
	end := l.now + d
	for {
		next, ok := l.next()
		if !ok || next > end {
			l.now = end
			return
		}
		l.now = max(l.now, next)
		for _, r := range l.routers {
			if r.adding && r.busy <= l.now {
				r.owns, r.adding = !r.dead, false
			}
		}
		l.deliver()
		for _, r := range l.routers {
			if at, ok := l.due(r); ok && at <= l.now {
				l.step(r, Timeout{})
			}
		}
		l.watch(l)
	}
}

// next returns the time of the next event.
func (l *segment) next() (time.Duration, bool) {
	var first time.Duration
	found := false
	consider := func(t time.Duration) {
		if !found || t < first {
			first, found = t, true
		}
	}
	for _, f := range l.flying {
		consider(max(f.at, f.to.busy))
	}
	for _, r := range l.routers {
		if r.adding {
			consider(r.busy)
		}
		if at, ok := l.due(r); ok {
			consider(at)
		}
	}
	return first, found
}

func (l *segment) due(r *member) (time.Duration, bool) {
	at, ok := r.m.Deadline()
	if !ok || r.dead {
		return 0, false
	}
	return max(at.Sub(epoch)-r.offset, r.busy), true
}

func (l *segment) deliver() {
	arrived := l.flying
	l.flying = nil
	for _, f := range arrived {
		if max(f.at, f.to.busy) > l.now {
			l.flying = append(l.flying, f)
			continue
		}
		l.step(f.to, f.what)
	}
}

func (l *segment) in(s State) []*member {
	var out []*member
	for _, r := range l.routers {
		if !r.dead && r.m.State() == s {
			out = append(out, r)
		}
	}
	return out
}

func (l *segment) owners() int {
	n := 0
	for _, r := range l.routers {
		if r.owns {
			n++
		}
	}
	return n
}

func (l *segment) String() string { return strings.Join(l.history, "\n") }
