//go:build !race

package vrrp

import (
	"fmt"
	"slices"
	"time"
)

// rules checks the invariants of every history on a lan: docs/internals/vrrp.md states them and their bounds.
type rules struct {
	broken    string        // the first rule that was broken, and how
	disturbed time.Duration // last change made by anything other than the routers
	forged    bool          // adverts with arbitrary intervals were forged
	interval  time.Duration // the longest configured so far
	shortest  time.Duration
	gapless   bool // an address must be held at every instant

	unheld  [8]time.Duration    // start of the time in which no router of a side has the addresses; -1 if one has them
	masters [8][8]time.Duration // start of the time in which two routers that receive each other's adverts are both master; -1 if they are not
	longest struct {            // longest durations seen, in percent of the bound
		unheld, overlap, election int
	}
}

func newRules() *rules {
	u := &rules{shortest: time.Hour}
	for i := range u.unheld {
		u.unheld[i] = -1
		for j := range u.masters[i] {
			u.masters[i][j] = -1
		}
	}
	return u
}

func (u *rules) fail(l *lan, format string, args ...any) {
	if u.broken == "" {
		u.broken = fmt.Sprintf("at %s: ", l.now) + fmt.Sprintf(format, args...)
		l.trace = append(l.trace, u.broken)
	}
}

// disturb restarts the bounds when the packets in transit have arrived.
func (l *lan) disturb() {
	if l.rules != nil {
		l.rules.disturbed = max(l.rules.disturbed, l.now+l.jitter)
		for _, r := range l.routers {
			l.rules.interval = max(l.rules.interval, r.in.AdvertiseInterval)
			l.rules.shortest = min(l.rules.shortest, r.in.AdvertiseInterval)
		}
	}
}

// The formulas of RFC 9568 and RFC 3768, 6.1, and the RFC's election, implemented independently.

func rfcSkew(version, priority uint8, interval time.Duration) time.Duration {
	if version == 2 {
		return time.Second * time.Duration(256-int(priority)) / 256
	}
	return interval * time.Duration(256-int(priority)) / 256
}

func rfcMasterDown(version, priority uint8, interval time.Duration) time.Duration {
	return 3*interval + rfcSkew(version, priority, interval)
}

// wantPriority returns the effective priority according to configuration and tracks.
func (r *router) wantPriority() uint8 {
	p := int(r.known.in.Priority)
	for _, t := range r.known.tracks {
		if t.Effect == EffectLastResort {
			return 1
		}
		p += t.Offset
	}
	if r.known.in.Priority == 255 {
		return 255
	}
	return uint8(max(1, min(p, 254)))
}

func (r *router) has(e Effect) bool {
	return slices.ContainsFunc(r.known.tracks, func(t Track) bool { return t.Effect == e })
}

// mayPreempt reports whether the router, as backup, eventually takes over from an active master of lower priority.
func (r *router) mayPreempt() bool {
	return !r.has(EffectHold) && (r.known.in.Preempt || r.wantPriority() == 255)
}

// transition checks the reason why a router became master, or yielded. Times are of the network, because the router's own
// clock may be fast.
func (u *rules) transition(l *lan, r *router, from State, ev Event, sent time.Duration) {
	to := r.m.State()
	got, heard := ev.(Received)
	waits := 3*u.shortest - u.shortest/100 - 2*l.adding
	switch {
	case from == Backup && to == Master:
		alive := r.resignedAt < r.heardAt && l.now-r.heardAt < waits && !u.forged
		switch {
		case !alive:
		case r.lesserSince < 0:
			u.fail(l, "%s took over from an active master of no lower priority", r.name)
		case !r.mayPreempt():
			u.fail(l, "%s took over from an active master although it must not", r.name)
		case l.now-r.lesserSince < r.known.in.PreemptDelay*99/100:
			u.fail(l, "%s preempted %s after the first advert of the lesser master", r.name, l.now-r.lesserSince)
		}
	case from == Master && to == Backup && heard:
		better := got.Priority > r.wantPriority() || got.Priority == r.wantPriority() && got.Source.Compare(r.source) > 0
		if !better && l.now-sent < waits {
			u.fail(l, "%s yielded to %s, which is no better", r.name, got.Source)
		}
	}
	if to == Backup {
		r.heardAt, r.resignedAt, r.lesserSince = -time.Hour, -time.Hour, -1
	}
}

// adopted returns the longest interval that a router may adopt from others.
func (l *lan) adopted() time.Duration {
	longest := l.rules.interval
	if l.rules.forged && l.routers[0].in.Version == 3 {
		for _, r := range l.routers {
			longest = max(longest, time.Duration(r.in.adoptFactor())*r.in.AdvertiseInterval)
		}
	}
	return longest
}

// slack returns the delay that the network and the schedulers may add to a bound.
func (l *lan) slack() time.Duration {
	s := 4*(l.delay+l.jitter) + 4*l.adding
	for _, r := range l.routers {
		s += 2 * r.lag
	}
	return s + 10*time.Millisecond
}

// unheldBound returns the maximum time without a holder of an address: the longest master-down interval of any router.
func (l *lan) unheldBound() time.Duration {
	return rfcMasterDown(l.routers[0].in.Version, 1, l.adopted()) + l.slack()
}

// overlapBound returns the maximum time in which two masters receive each other's adverts: one advertisement interval.
func (l *lan) overlapBound() time.Duration { return l.rules.interval + l.slack() }

// electionBound returns the maximum time until the right master is the only one: a leaving router has left, the others have
// waited for the master-down interval, and the best has waited for its delay and preempted.
func (l *lan) electionBound() time.Duration {
	var delay time.Duration
	for _, r := range l.routers {
		delay = max(delay, r.in.PreemptDelay)
	}
	adopted := l.adopted()
	leaving := rfcSkew(l.routers[0].in.Version, 1, l.rules.interval) + 100*time.Millisecond
	return leaving + delay + 2*(rfcMasterDown(l.routers[0].in.Version, 1, adopted)+adopted) + l.slack()
}

// before checks the time that has passed since the last event.
func (u *rules) before(l *lan) {
	for side, since := range u.unheld {
		if since < 0 {
			continue
		}
		took := l.now - max(since, u.disturbed)
		if u.gapless && l.now > since {
			u.fail(l, "no router has had the addresses since %s", since)
		}
		bound := l.unheldBound()
		u.longest.unheld = max(u.longest.unheld, percent(took, bound))
		if took > bound {
			u.fail(l, "on side %d, no router has had the addresses for %s", side, took)
		}
	}
	for i := range l.routers {
		for j := range i {
			since := u.masters[i][j]
			if since < 0 {
				continue
			}
			took := l.now - max(since, u.disturbed)
			bound := l.overlapBound()
			u.longest.overlap = max(u.longest.overlap, percent(took, bound))
			if took > bound {
				u.fail(l, "r%d and r%d, which receive each other's adverts, have both been master for %s", j, i, took)
			}
		}
	}
}

func percent(d, of time.Duration) int { return int(100 * d / of) }

// after checks the state after an event.
func (u *rules) after(l *lan) {
	var eligible, held [8]bool
	for _, r := range l.routers {
		u.addresses(l, r)
		u.answers(l, r)
		if r.owned != 0 && r.link && !r.off {
			held[r.side] = true
		}
		if r.link && (r.state() == Backup || r.state() == Master) {
			eligible[r.side] = true
		}
	}
	for side := range u.unheld {
		since(&u.unheld[side], eligible[side] && !held[side], l.now)
	}
	for i, r := range l.routers {
		for j, other := range l.routers[:i] {
			both := r.state() == Master && other.state() == Master && l.loss == 0 && l.reaches(r, other) && l.reaches(other, r)
			since(&u.masters[i][j], both, l.now)
		}
	}
}

func since(t *time.Duration, holds bool, now time.Duration) {
	switch {
	case !holds:
		*t = -1
	case *t < 0:
		*t = now
	}
}

// addresses checks that a router's addresses match its state, unless actions are still being carried out.
func (u *rules) addresses(l *lan, r *router) {
	if r.m == nil || r.adding != 0 || r.m.reason == ReasonStart {
		return
	}
	configured := bits(r.m.in.Addresses)
	switch state := r.m.State(); state {
	case Master:
		if r.owned != configured {
			u.fail(l, "%s is master and has addresses %b of %b", r.name, r.owned, configured)
		}
	case Leaving:
		if r.owned&^configured != 0 {
			u.fail(l, "%s is leaving and has addresses %b of %b", r.name, r.owned, configured)
		}
	default:
		if r.owned != 0 && !(r.found && state == Backup) && !(r.m.early && r.at(r.m.due)-l.now <= PrepareTime+l.slack()) {
			u.fail(l, "%s is %s and has addresses %b", r.name, state, r.owned)
		}
	}
}

// answersMost is the maximum number of adverts that a router sends within its interval, regardless of received packets: its
// own, an answer every tenth of the interval, and one whenever it becomes master, which takes at least half of the
// interval, or a second.
const answersMost = 1 + (10 + 1) + (2 + 1)

func (u *rules) answers(l *lan, r *router) {
	n := len(r.adverts)
	if n <= answersMost || r.m == nil {
		return
	}
	if took := r.adverts[n-1] - r.adverts[n-1-answersMost]; took < min(r.m.in.AdvertiseInterval, 2*time.Second)-r.lag {
		u.fail(l, "%s sent %d adverts within %s, less than its interval or 2 s", r.name, answersMost+1, took)
	}
	if n > 4*answersMost {
		r.adverts = append(r.adverts[:0], r.adverts[n-answersMost:]...)
	}
}

// rightMaster returns the only master if it is the one required by configuration and RFC.
func (l *lan) rightMaster() (*router, string) {
	masters := l.in(Master)
	if len(masters) != 1 {
		return nil, fmt.Sprintf("%d masters", len(masters))
	}
	m := masters[0]
	for _, r := range l.routers {
		switch {
		case r.running() && r.has(EffectFault):
			return nil, fmt.Sprintf("%s has a fault and is %s", r.name, r.m.State())
		case !r.running() || r == m:
		case r.m.State() != Backup:
			return nil, fmt.Sprintf("%s is still %s", r.name, r.m.State())
		case r.wantPriority() > m.wantPriority() && r.mayPreempt():
			return nil, fmt.Sprintf("%s is master with priority %d, but %s has %d", m.name, m.wantPriority(), r.name, r.wantPriority())
		case r.owned != 0:
			return nil, fmt.Sprintf("%s is master, but %s has the addresses", m.name, r.name)
		}
	}
	return m, ""
}
