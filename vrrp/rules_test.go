//go:build !race

package vrrp

import (
	"fmt"
	"net/netip"
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

	uneven bool // two hosts reach each other in some of the networks only

	unheld  [maxNetworks][sides]time.Duration              // start of the time in which no router of a network's side has the addresses; -1 if one has them
	masters [maxNetworks][maxHosts][maxHosts]time.Duration // start of the time in which two routers that receive each other's adverts are both master; -1 if they are not
	split   [maxHosts]time.Duration                        // start of the time in which a host is master with some of its routers only; -1 if it is not
	longest struct {                                       // longest durations seen, in percent of the bound
		unheld, overlap, split, election int
	}
}

// sides is the number of parts that a network can have.
const sides = 3

func newRules() *rules {
	u := &rules{shortest: time.Hour}
	for n := range maxNetworks {
		for i := range sides {
			u.unheld[n][i] = -1
		}
		for i := range maxHosts {
			u.split[i] = -1
			for j := range maxHosts {
				u.masters[n][i][j] = -1
			}
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
		l.rules.uneven = l.uneven()
	}
}

// uneven reports whether two hosts reach each other in some of the networks only. A group is then master in none rather than
// in some of them. A host with a link that is down has a fault in all networks.
func (l *lan) uneven() bool {
	if l.networks == 1 {
		return false
	}
	up := func(h *host) bool { return !slices.ContainsFunc(h.members, func(r *router) bool { return !r.link }) }
	for _, a := range l.hosts {
		for _, b := range l.hosts {
			for n, r := range a.members {
				if up(a) && up(b) && l.reaches(r, b.members[n]) != l.reaches(a.members[0], b.members[0]) {
					return true
				}
			}
		}
	}
	return false
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
	case from == Backup && to == Master && r.m.reason == ReasonGroup:
	case from == Backup && to == Master:
		u.aloneAlive(l, r)
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
		l.lossy = l.lossy || l.unheard(r, got.Source)
	}
	if to == Backup {
		r.heardAt, r.resignedAt, r.lesserSince = -time.Hour, -time.Hour, -1
	}
}

// unheard reports whether a router yields unnoticed, while the network is partitioned: to an advert that was still on the way, of a
// router on the other side or of one that is no longer master. A master on the other side will not know that hosts believe this
// router.
func (l *lan) unheard(r *router, winner netip.Addr) bool {
	cut, master := false, false
	for _, o := range l.routers {
		if o.network == r.network && o != r {
			cut = cut || !l.reaches(r, o)
			master = master || o.source == winner && o.state() == Master && l.reaches(r, o)
		}
	}
	return cut && !master
}

// aloneAlive checks that a router does not take over from a failed master while another one of its group follows an active
// master.
func (u *rules) aloneAlive(l *lan, r *router) {
	for _, o := range r.members {
		silent := l.now - o.heardAt
		if o != r && r.m.reason == ReasonMasterDownTimer && o.resignedAt < o.heardAt && silent < 2*u.shortest-u.shortest/100-2*l.adding && o.lesserSince < 0 && !u.forged {
			u.fail(l, "%s took over, but %s heard its master %s ago", r.name, o.name, silent)
		}
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

// holdDown returns how much longer a router may wait that has yielded several times, each soon after the last.
func (l *lan) holdDown() (most time.Duration) {
	for _, r := range l.routers {
		if r.m != nil && r.m.flaps > 0 {
			most = time.Second
		}
	}
	return most
}

// unheldBound returns the maximum time without a holder of an address: the longest master-down interval of any router.
func (l *lan) unheldBound() time.Duration {
	return rfcMasterDown(l.routers[0].in.Version, 1, l.adopted()) + l.holdDown() + l.slack()
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
	return leaving + delay + 2*(rfcMasterDown(l.routers[0].in.Version, 1, adopted)+adopted) + l.holdDown() + l.slack()
}

// before checks the time that has passed since the last event.
func (u *rules) before(l *lan) {
	for n := range l.networks {
		for side, since := range u.unheld[n] {
			if since < 0 {
				continue
			}
			u.expired(l, since, l.unheldBound, &u.longest.unheld, "in network %d, no router on side %d has had the addresses", n, side)
			if u.gapless && l.now > since {
				u.fail(l, "in network %d, no router has had the addresses since %s", n, since)
			}
		}
		for i := range l.hosts {
			for j := range i {
				if u.masters[n][i][j] < 0 {
					continue
				}
				u.expired(l, u.masters[n][i][j], l.overlapBound, &u.longest.overlap,
					"in network %d, hosts %d and %d, which receive each other's adverts, have both been master", n, j, i)
			}
		}
	}
	for i, since := range u.split {
		if since < 0 {
			continue
		}
		u.expired(l, since, l.splitBound, &u.longest.split, "host %d has been master in some networks only", i)
	}
}

// splitBound is how long a host may be master with some of its routers only. They change in one step, but the next event, for
// example at the start, waits for those that add addresses.
func (l *lan) splitBound() time.Duration {
	bound := 4 * l.adding
	for _, r := range l.routers {
		bound = max(bound, 2*r.lag)
	}
	return bound
}

// expired checks that a state, if it lasts, does so no longer than the bound.
func (u *rules) expired(l *lan, since time.Duration, most func() time.Duration, longest *int, format string, args ...any) {
	took, bound := l.now-max(since, u.disturbed), most()
	*longest = max(*longest, percent(took, bound))
	if took > bound {
		u.fail(l, format+fmt.Sprintf(" for %s", took), args...)
	}
}

func percent(d, of time.Duration) int { return int(100 * d / of) }

// after checks the state after an event.
func (u *rules) after(l *lan) {
	var eligible, held [maxNetworks][sides]bool
	for _, r := range l.routers {
		u.addresses(l, r)
		u.answers(l, r)
		if r.owned != 0 && r.link && !r.off {
			held[r.network][r.side] = true
		}
		if r.link && (r.state() == Backup || r.state() == Master) && !u.uneven {
			eligible[r.network][r.side] = true
		}
	}
	for n := range l.networks {
		for side := range sides {
			since(&u.unheld[n][side], eligible[n][side] && !held[n][side], l.now)
		}
		for i, a := range l.hosts {
			for j, b := range l.hosts[:i] {
				r, other := a.members[n], b.members[n]
				both := r.state() == Master && other.state() == Master && l.loss == 0 && l.reaches(r, other) && l.reaches(other, r)
				since(&u.masters[n][i][j], both, l.now)
			}
		}
	}
	for i, h := range l.hosts {
		masters := 0
		for _, r := range h.members {
			if r.state() == Master {
				masters++
			}
		}
		since(&u.split[i], masters > 0 && masters < len(h.members), l.now)
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
	if r.m == nil || len(r.changes) > 0 || r.m.reason == ReasonStart {
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

// rightMaster returns the only master if it is the one required by configuration and RFC; with groups, the one of the first
// network, whose host must be master in all.
func (l *lan) rightMaster() (*router, string) {
	masters := l.in(Master)
	if len(masters) != l.networks {
		return nil, fmt.Sprintf("%d masters", len(masters))
	}
	for _, m := range masters {
		if m.host != masters[0].host {
			return nil, fmt.Sprintf("%s and %s are master", masters[0].name, m.name)
		}
	}
	for _, r := range l.routers {
		m := masters[r.network]
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
	return masters[0], ""
}
