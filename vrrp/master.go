package vrrp

import "time"

const (
	// announceGap is the least time between announcements that adverts of others cause: receivers ignore a second
	// ARP for the same address within one second (Linux: net.ipv4.neigh.*.locktime).
	announceGap = time.Second

	// reassertAfter is when a master announces once more after the last advert of another: then receivers that took the
	// other's announcement just before, and ignored ours for that second, take ours.
	reassertAfter = announceGap + 100*time.Millisecond

	// answerPart is the part of an interval within which one advert in answer to others is enough. It ends the exchange
	// of two routers that each think the other lower, and bounds what a flood of forged adverts makes a master send.
	answerPart = 10
)

// becomeMaster takes over. Where a master still serves, it yields when it hears our advert: then the addresses and
// announcements come first, so that they are served at all times. Where none does, the advert comes first, before
// other backups take over too.
func (m *Machine) becomeMaster(reason Reason, now time.Time) {
	m.takeMastership(reason, reason == ReasonPreempt || reason == ReasonPriorityZero, now)
}

func (m *Machine) takeMastership(reason Reason, handOver bool, now time.Time) {
	m.owns = true
	m.transitions++
	m.master, m.rival, m.masterLeft = heard{}, heard{}, false
	if !handOver {
		m.advertise(now)
	}
	m.act(AddAddresses{m.in.Addresses})
	m.announce(now)
	if handOver {
		m.advertise(now)
	}
	m.again = later(now, m.in.Announce.RepeatAfter)
	m.refresh = later(now, m.in.Announce.Refresh)
	m.enter(Master, reason, now)
}

// later is the time d after now, or none if d is none.
func later(now time.Time, d time.Duration) time.Time {
	if d <= 0 {
		return time.Time{}
	}
	return now.Add(d)
}

// expired says whether a timer that may be unset has expired.
func expired(t, now time.Time) bool { return !t.IsZero() && !now.Before(t) }

// advertise sends an advert now and the next one an interval later.
func (m *Machine) advertise(now time.Time) {
	m.act(SendAdvert{m.Priority()})
	if m.owed {
		m.answered, m.owed = now, false
	}
	m.sent = now
	m.due = now.Add(m.in.AdvertiseInterval)
}

func (m *Machine) announce(now time.Time) {
	m.announced = now
	m.act(SendAnnouncements{m.in.Addresses})
}

func (m *Machine) masterTimeout(now time.Time) {
	if !now.Before(m.due) {
		due := m.due
		m.advertise(now)
		if next := due.Add(m.in.AdvertiseInterval); next.After(now) {
			m.due = next // a late timer does not delay all that follow
		}
	}
	again, refresh, reassert := expired(m.again, now), expired(m.refresh, now), expired(m.reassert, now)
	if again {
		m.again = time.Time{}
	}
	if refresh {
		m.refresh = later(now, m.in.Announce.Refresh)
	}
	if reassert {
		m.reassert = time.Time{}
	}
	if again || refresh || reassert {
		m.announce(now)
	}
}

func (m *Machine) masterReceived(r Received, now time.Time) {
	switch {
	case r.Priority == PriorityResign:
		m.answer(now)
		m.announceAgain(now)
	case r.Priority > m.Priority():
		m.yield(r, ReasonHigherPriority, now)
	case r.Priority == m.Priority() && r.Source.Compare(m.source) > 0:
		m.yield(r, ReasonEqualHigherAddress, now)
	case m.lapsed(r.Priority, now):
		m.yield(r, ReasonLapsed, now)
	default:
		m.assert(now)
	}
}

// lapsed reports that this process was stalled for so long that a lesser router has rightly taken over, which a backup
// would have to leave alone. It must not regain mastership because it missed losing it.
func (m *Machine) lapsed(rival uint8, now time.Time) bool {
	if now.Sub(m.sent) < MasterDownInterval(m.in.Version, PriorityOwner, m.in.AdvertiseInterval) {
		return false
	}
	return m.preemptBar() != "" || m.in.PreemptDelay > 0 || rival == m.Priority()
}

// yield leaves the addresses to a better master, which owns them already. It may have been there all the time, cut off on this interface
// only, while the hosts on another one listened to our announcements. It announces again when it hears of a lesser master, or of
// one that leaves, so it has to hear of us once. A lapsed router has no say with its own priority.
func (m *Machine) yield(r Received, reason Reason, now time.Time) {
	if reason == ReasonLapsed {
		m.act(SendAdvert{PriorityResign})
	} else {
		m.advertise(now)
	}
	m.yielded = now
	m.disown()
	m.becomeBackup(heard{address: r.Source, priority: r.Priority, interval: r.Interval, at: now}, reason, now)
}

// answer sends an advert to those who have heard another router's: at once, as RFC 9568 (6.4.3) wants it for priority 0,
// unless the last answer was just before. Then the next advert comes sooner and answers them all.
func (m *Machine) answer(now time.Time) {
	next := m.answered.Add(m.in.AdvertiseInterval / answerPart)
	if now.Before(next) {
		if next.Before(m.due) {
			m.due, m.owed = next, true
		}
		return
	}
	m.answered = now
	m.advertise(now)
}

// assert answers a lesser master, which gives up when it hears us.
func (m *Machine) assert(now time.Time) {
	if now.Sub(m.sent) >= m.in.AdvertiseInterval/answerPart {
		m.answer(now)
	}
	m.announceAgain(now)
}

// announceAgain corrects hosts that listened to another master's announcements.
func (m *Machine) announceAgain(now time.Time) {
	if now.Sub(m.announced) >= announceGap {
		m.announce(now)
	}
	m.reassert = now.Add(reassertAfter)
}
