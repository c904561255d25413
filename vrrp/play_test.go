//go:build !race

package vrrp

import (
	"slices"
	"time"
)

// play runs a history, repairs the network, waits for the election's bound, and then examines the result. It returns the
// first rule that was broken, or "".
func (h *history) play(traced bool) (*lan, string) {
	l := newLANs(h.seed, h.networks, h.stretch, h.hosts...)
	l.traced = traced
	l.adding = []time.Duration{PrepareTime, 3 * PrepareTime}[h.seed>>1%2] // in time for a hand-over, or too slow
	l.prepared = l.prepared && h.seed>>2%2 == 0
	l.rules = newRules()
	for i, r := range l.hosts {
		luck := mix(h.seed, uint64(i), 9)
		r.offset = time.Duration(luck%20)*time.Hour + time.Duration(luck>>8%1000)*time.Microsecond
		if luck>>32%2 == 0 {
			r.ppm = int64(luck>>40%200) - 100
		}
	}
	for _, o := range h.ops {
		l.run(o.after)
		l.do(o)
		if l.rules.broken != "" {
			return l, l.rules.broken
		}
	}
	l.heal(h.seed%2 == 0)
	l.examine(h.seed / 2)
	return l, l.rules.broken
}

func (l *lan) do(o op) {
	r := l.routers[o.router]
	if l.traced {
		l.note(r, "== "+o.kind)
	}
	l.disturb()
	findOp(o.kind).do(l, r, o.arg)
	l.disturb()
	l.rules.after(l)
}

// heal repairs the network. It lets stopping processes stop. Afterwards at least one router runs, or all of them.
func (l *lan) heal(all bool) {
	l.disturb()
	l.loss, l.duplicate, l.jitter = 0, 0, 0
	for _, r := range l.routers {
		r.side, r.deaf, r.mute, r.lag = 0, false, false, 0
		l.plug(r, true)
	}
	l.disturb()
	for _, r := range l.routers {
		l.run(max(r.busy-l.now, 0)) // pauses end
	}
	leaves := func(r *router) bool { return r.m != nil && (r.stopping || r.m.State() == Leaving) }
	l.waitFor(func() bool { return !slices.ContainsFunc(l.routers, leaves) })
	if all || !slices.ContainsFunc(l.routers, (*router).running) {
		for _, r := range l.routers {
			l.boot(r)
			l.do(op{kind: "track-fault", router: r.index})
		}
	}
	l.disturb()
}

// settle waits for the election's bound and returns the right master, or nil if a rule was broken.
func (l *lan) settle() *router {
	start := l.now
	bound := l.electionBound()
	step := l.part(25)
	right := time.Duration(-1)
	for l.now-start < bound && l.rules.broken == "" {
		l.run(step)
		m, _ := l.rightMaster()
		if m == nil {
			right = -1
		} else if right < 0 {
			right = l.now - start
		}
	}
	l.rules.longest.election = max(l.rules.longest.election, percent(right, bound))
	m, wrong := l.rightMaster()
	if m == nil {
		l.rules.fail(l, "%s after the election's bound of %s", wrong, bound)
	}
	if l.rules.broken != "" {
		return nil
	}
	return m
}

// examine runs one of several tests on the routers, each with an expected time or gap.
func (l *lan) examine(which uint64) {
	m := l.settle()
	if m == nil {
		return
	}
	l.rules.forged = false
	l.believed(m)
	l.run(time.Duration(mix(l.seed, 11) % uint64(l.rules.interval)))
	if m.state() != Master {
		l.rules.fail(l, "mastership moved without a cause")
		return
	}
	switch which % 3 {
	case 0:
		l.examineFailure(m)
	case 1:
		l.examineStop(m)
	default:
		l.examineSmooth(mix(l.seed, 12))
	}
}

// believed checks that the last announcement, which hosts rely on, is the master's, at the latest after the master has
// announced the addresses once more. A master cannot correct a router whose adverts it has not received.
func (l *lan) believed(m *router) {
	if l.lossy {
		return
	}
	wrong := func() *router {
		for _, r := range l.announced {
			if r != nil && r.host != m.host {
				return r
			}
		}
		return nil
	}
	if wrong() == nil {
		return
	}
	l.run(reassertBound)
	if r := wrong(); r != nil {
		l.rules.fail(l, "%s announced the addresses last, the master is %s", r.name, m.name)
	}
}

// reassertBound is how long hosts may use another router's announcement: docs/vrrp.md, Announcements.
const reassertBound = 1200 * time.Millisecond

// others returns the backups on other hosts.
func (l *lan) others(m *router) []*router {
	return slices.DeleteFunc(l.in(Backup), func(r *router) bool { return r.host == m.host })
}

// listens returns how long a backup waits for a master's advert.
func (r *router) listens(interval time.Duration) time.Duration {
	return rfcMasterDown(r.in.Version, r.wantPriority(), r.adopts(interval))
}

func (r *router) adopts(interval time.Duration) time.Duration {
	if r.in.Version == 2 {
		return r.in.AdvertiseInterval
	}
	return min(interval, time.Duration(r.in.adoptFactor())*r.in.AdvertiseInterval)
}

// examineFailure simulates a power failure of the master. The first router to take over must do so exactly one master-down
// interval after the last advert arrived, even if it was not scheduled at that time. When the old master returns, it
// preempts if allowed, without a gap.
func (l *lan) examineFailure(m *router) {
	backups := l.others(m)
	l.run(l.rules.interval) // all networks hear the master
	interval := m.in.AdvertiseInterval
	for _, r := range backups {
		l.pause(r, time.Duration(mix(l.seed, 13, uint64(r.id))%uint64(2*interval)))
	}
	l.run(interval)
	l.kill(m)
	l.disturb()
	if len(backups) > 0 {
		l.takeover(backups, func(r *router) time.Duration {
			return r.heardLast[m.id] + r.listens(m.members[r.network].in.AdvertiseInterval)
		})
		if l.settle() == nil {
			return
		}
		l.rules.gapless = l.seamless()
	}
	l.boot(m)
	l.disturb()
	l.settle()
}

// takeover waits for the next master and checks the time of its takeover.
func (l *lan) takeover(backups []*router, when func(*router) time.Duration) {
	l.waitFor(func() bool { return len(l.in(Master)) > 0 })
	masters := l.in(Master)
	if len(masters) == 0 {
		l.rules.fail(l, "no router took over")
		return
	}
	first, last := when(backups[0]), when(backups[0])
	for _, r := range backups {
		first, last = min(first, when(r)), max(last, when(r))
	}
	if l.networks == 1 || l.rules.shortest == l.rules.interval {
		last = first // otherwise a group waits until the master is silent in all networks
	}
	last += l.holdDown()
	// Allows for clock drift of some ppm and for rounding.
	tolerance := (first-l.now).Abs()/1000 + l.unheldBound()/5_000 + time.Microsecond
	for _, r := range masters {
		if r.becameMaster < first-tolerance || r.becameMaster > last+tolerance {
			l.rules.fail(l, "%s took over at %s, the RFC says %s to %s", r.name, r.becameMaster, first, last)
		}
	}
}

// seamless reports whether the next events must leave no gap. An owner takes over immediately at its start, a leaving master
// waits at most MaxFinalLeave, and a router with an interval of a third of the master's may take over before it hears it.
func (l *lan) seamless() bool {
	for _, r := range l.routers {
		slow := func(o *router) bool {
			return o.network == r.network && o.in.AdvertiseInterval >= 3*r.in.AdvertiseInterval
		}
		if r.in.Priority == PriorityOwner || rfcSkew(r.in.Version, 1, r.in.AdvertiseInterval) > 2900*time.Millisecond || slices.ContainsFunc(l.routers, slow) {
			return false
		}
	}
	return true
}

// examineStop stops the master, which must leave after the skew time without a gap.
func (l *lan) examineStop(m *router) {
	backups := l.others(m)
	begun := l.now
	l.rules.gapless = len(backups) > 0 && l.seamless()
	l.stop(m)
	l.disturb()
	if len(backups) > 0 {
		l.run(0)
		l.waitFor(func() bool { return m.state() != Master })
		l.takeover(backups, func(r *router) time.Duration {
			return begun + l.delay + rfcSkew(r.in.Version, r.wantPriority(), r.adopts(m.members[r.network].in.AdvertiseInterval))
		})
	}
	l.waitFor(func() bool { return m.m == nil })
	if took := m.ended - begun; m.m != nil || took > 3*time.Second+l.slack() {
		l.rules.fail(l, "%s took %s to stop", m.name, took)
	}
	if len(backups) > 0 {
		l.settle()
	}
}

// waitFor advances the time until done, at most by the election's bound.
func (l *lan) waitFor(done func() bool) {
	end := l.now + l.electionBound()
	for !done() && l.now < end && l.rules.broken == "" {
		at, arrival, due := l.next()
		if arrival < 0 && due == nil {
			at = end
		}
		l.run(max(at-l.now, 1))
	}
}

// examineSmooth runs several operations that must leave no gap.
func (l *lan) examineSmooth(luck uint64) {
	l.rules.gapless = l.seamless()
	for range 3 {
		luck = mix(luck)
		k := smoothOps[luck>>8%uint64(len(smoothOps))]
		r := l.routers[luck>>16%uint64(len(l.routers))]
		if k.name == "track-fault" && len(l.others(r)) == 0 {
			continue // no other router is left
		}
		l.do(op{kind: k.name, router: r.index, arg: k.arg(luck >> 32)})
		if l.settle() == nil {
			return
		}
	}
}
