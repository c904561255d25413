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
	next      State
	reason    Reason // of Initialize
	final     bool
	recovered bool // next was Initialize, because of a fault that is over
	giveUp    bool // not to stay if nobody takes over: the rest of the group has left
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

// resign leaves for good: until the next Up.
func (m *Machine) resign(reason Reason, now time.Time) {
	m.missing = reason
	d := departure{next: Initialize, reason: reason, final: true}
	switch m.state {
	case Master:
		m.leave(d, now)
	case Leaving:
		m.leaving = d
		m.hurry(now)
	case Backup:
		m.initialize(reason, now)
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
	m.left(heard{address: r.Source, priority: r.Priority, interval: r.Interval, at: now}, now)
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
		m.disown()
		m.becomeBackup(heard{}, ReasonSuccessorMissing, now)
	default:
		m.initialize(m.leaving.reason, now)
	}
}

// left ends Leaving: the addresses are the successor's.
func (m *Machine) left(successor heard, now time.Time) {
	if m.leaving.next == Initialize {
		m.initialize(m.leaving.reason, now)
		return
	}
	m.disown()
	m.becomeBackup(successor, ReasonSuccessorHeard, now)
}
