package vrrp

import "time"

const (
	// MaxFinalLeave is the maximum duration of a final resignation at any interval, so that a stop completes before the
	// parent's timeout. The slowest backup takes over within it with version 2 at any interval, and with version 3 at
	// intervals up to 2.9 s.
	MaxFinalLeave = 3 * time.Second

	// leaveMargin is added to the longest skew time of a backup, to allow for the arrival of its advert.
	leaveMargin = 100 * time.Millisecond

	// Priority 0 is sent twice, in case the first packet is lost. The second one follows after this fraction of the
	// longest skew time; it must be early, because keepalived restarts its skew timer when it receives it.
	againPart = 8
	againMost = 10 * time.Millisecond
)

// departure is the state that follows Leaving.
type departure struct {
	next      State
	reason    Reason // for Initialize
	final     bool
	recovered bool // next was Initialize because of a fault that is now over
	giveUp    bool // do not remain master if no router takes over: the rest of the group has left
}

// leave sends priority 0 and keeps serving until a successor's advert arrives.
func (m *Machine) leave(d departure, now time.Time) {
	m.leaving = d
	longest := SkewTime(m.in.Version, 1, m.in.AdvertiseInterval)
	m.act(SendAdvert{PriorityResign})
	m.due = now.Add(longest + leaveMargin)
	m.again = now.Add(min(longest/againPart, againMost))
	m.refresh, m.reassert = time.Time{}, time.Time{}
	if d.final {
		m.limitLeaving(now)
	}
	m.enter(Leaving, d.reason, now)
}

// limitLeaving limits the remaining time in Leaving to MaxFinalLeave.
func (m *Machine) limitLeaving(now time.Time) {
	if end := now.Add(MaxFinalLeave); end.Before(m.due) {
		m.due = end
	}
}

// resign leaves permanently, that is, until the next Up.
func (m *Machine) resign(reason Reason, now time.Time) {
	m.missing = reason
	d := departure{next: Initialize, reason: reason, final: true}
	switch m.state {
	case Master:
		m.leave(d, now)
	case Leaving:
		m.leaving = d
		m.limitLeaving(now)
	case Backup:
		m.initialize(reason, now)
	}
}

// stay ends Leaving and becomes master again. It adds the addresses because a reload may have changed them.
func (m *Machine) stay(reason Reason, now time.Time) {
	m.advertise(now)
	m.act(AddAddresses{m.in.Addresses, m.in.Routing})
	m.announce(now)
	m.again = later(now, m.in.Announce.RepeatAfter)
	m.refresh = later(now, m.in.Announce.Refresh)
	m.enter(Master, reason, now)
}

func (m *Machine) leavingReceived(r Received, now time.Time) {
	if r.Priority == PriorityResign {
		return
	}
	m.left(heard{address: r.Source, priority: r.Priority, interval: r.Interval, at: r.At}, now)
}

func (m *Machine) leavingTimeout(now time.Time) {
	if expired(m.again, now) {
		m.again = time.Time{}
		m.act(SendAdvert{PriorityResign})
	}
	switch {
	case now.Before(m.due):
	case m.leaving.next == Backup && !m.leaving.giveUp:
		m.stay(ReasonNobodyTookOver, now)
	case m.leaving.next == Backup:
		m.dropAddresses()
		m.becomeBackup(heard{}, ReasonSuccessorMissing, now)
	default:
		m.initialize(m.leaving.reason, now)
	}
}

// left ends Leaving because a successor has taken over.
func (m *Machine) left(successor heard, now time.Time) {
	if m.leaving.next == Initialize {
		m.initialize(m.leaving.reason, now)
		return
	}
	m.dropAddresses()
	m.becomeBackup(successor, ReasonSuccessorHeard, now)
}
