package vrrp

import "time"

const (
	// MaxFinalLeave is the longest that a final resignation takes, whatever the interval, so that a stop is over before
	// the parent loses patience. The slowest backup takes over within it with version 2 at any interval, and with
	// version 3 at intervals up to 2.9 s.
	MaxFinalLeave = 3 * time.Second

	// leaveMargin is added to the longest skew time that a backup may wait, for its advert to come.
	leaveMargin = 100 * time.Millisecond

	// Priority 0 is sent again in case it was lost: after this part of the longest skew time, but soon, since
	// keepalived starts its skew timer again with it.
	againPart = 8
	againMost = 10 * time.Millisecond
)

// departure is the state that follows Leaving.
type departure struct {
	next     State
	reason   Reason // of Initialize
	final    bool
	fallback bool
}

// leave sends priority 0 and keeps serving until a successor is heard.
func (m *Machine) leave(d departure, now time.Time) {
	m.leaving = d
	longest := SkewTime(m.in.Version, 1, m.in.AdvertiseInterval)
	m.act(SendAdvert{PriorityResign})
	m.due = now.Add(longest + leaveMargin)
	m.again = now.Add(min(longest/againPart, againMost))
	m.refresh, m.reassert = time.Time{}, time.Time{}
	if d.final {
		m.hurry(now)
	}
	m.enter(Leaving, d.reason, now)
}

// hurry bounds the time left in Leaving.
func (m *Machine) hurry(now time.Time) {
	if end := now.Add(MaxFinalLeave); end.Before(m.due) {
		m.due = end
	}
}

func (m *Machine) resign(ev Resign, now time.Time) {
	if ev.Fallback {
		m.retime(now, func() { m.demoted = true })
	}
	d := departure{next: Backup, reason: ev.Reason, fallback: ev.Fallback}
	if ev.Final {
		d = departure{next: Initialize, reason: ev.Reason, final: true}
	}
	switch {
	case m.state == Master:
		m.leave(d, now)
	case m.state == Leaving && ev.Final:
		m.leaving = d
		m.hurry(now)
	case m.state == Leaving && ev.Fallback && m.leaving.next == Backup:
		m.leaving.fallback = true
	case m.state == Backup && ev.Final:
		m.initialize(ev.Reason, now)
	}
}

// restore gives a demoted router its priority back. If it was leaving for lack of it, it stays.
func (m *Machine) restore(reason Reason, now time.Time) {
	m.retime(now, func() { m.demoted = false })
	if m.state == Leaving && m.leaving.fallback && !m.degraded {
		m.stay(reason, now)
	}
}

// degrade applies whether the kernel refuses some of the addresses. Once degraded it does not hand over again: where no router
// can have all of them, the last one that tries keeps what it has.
func (m *Machine) degrade(degraded bool, now time.Time) {
	if degraded == m.degraded {
		return
	}
	m.retime(now, func() { m.degraded = degraded })
	switch {
	case m.state == Master && degraded:
		m.leave(departure{next: Backup, reason: ReasonAddressRefused, fallback: true}, now)
	case m.state == Master:
		m.act(AddAddresses{m.in.Addresses})
		m.announce(now)
	case m.state == Leaving && degraded && m.leaving.next == Backup:
		m.leaving.fallback = true
	case m.state == Leaving && !degraded && m.leaving.fallback && !m.demoted:
		m.stay(ReasonAddressesBack, now)
	}
}

// stay ends Leaving and remains master. A reload may have added addresses since.
func (m *Machine) stay(reason Reason, now time.Time) {
	m.advertise(now)
	m.act(AddAddresses{m.in.Addresses})
	m.announce(now)
	m.again = later(now, m.in.Announce.RepeatAfter)
	m.refresh = later(now, m.in.Announce.Refresh)
	m.enter(Master, reason, now)
}

func (m *Machine) leavingReceived(r Received, now time.Time) {
	if r.Priority == PriorityResign {
		return
	}
	m.left(heard{address: r.Source, priority: r.Priority, interval: r.Interval, at: now}, ReasonSuccessorHeard, now)
}

func (m *Machine) leavingTimeout(now time.Time) {
	if expired(m.again, now) {
		m.again = time.Time{}
		m.act(SendAdvert{PriorityResign})
	}
	switch {
	case now.Before(m.due):
	case m.leaving.fallback:
		m.stay(ReasonNobodyTookOver, now)
	default:
		m.left(heard{}, ReasonSuccessorMissing, now)
	}
}

// left ends Leaving: the addresses are the successor's, if there is one.
func (m *Machine) left(successor heard, reason Reason, now time.Time) {
	if m.leaving.next == Initialize {
		m.initialize(m.leaving.reason, now)
		return
	}
	m.disown()
	m.becomeBackup(successor, reason, now)
}
