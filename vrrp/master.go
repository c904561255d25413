package vrrp

import "time"

const (
	// announceGap is the minimum time between announcements triggered by other routers' adverts: receivers ignore a second
	// ARP for the same address within one second (Linux: net.ipv4.neigh.*.locktime).
	announceGap = time.Second

	// reassertAfter is the time after another master's last advert at which a master announces once more. Receivers that
	// accepted the other master's announcement just before ignore ours for one second; they accept this one.
	reassertAfter = announceGap + 100*time.Millisecond

	// answerPart is the fraction of an interval in which a master sends at most one advert in answer to others. It ends
	// the exchange between two routers that each see the other's priority as lower, and limits the adverts that a flood
	// of forged packets can cause.
	answerPart = 10
)

// becomeMaster takes over. An active master yields when it receives our advert; in that case add and announce the
// addresses first, so that they are always served. If there is no active master, send the advert first, before other
// backups also take over.
func (m *Machine) becomeMaster(reason Reason, now time.Time) {
	m.takeMastership(reason, reason == ReasonPreempt || reason == ReasonPriorityZero, now)
}

func (m *Machine) takeMastership(reason Reason, handOver bool, now time.Time) {
	ready := m.early
	m.owns, m.early, m.earlyUntil = true, false, time.Time{}
	m.transitions++
	m.master, m.rival, m.masterLeft = heard{}, heard{}, false
	if !handOver {
		m.advertise(now)
	}
	if !ready {
		m.act(AddAddresses{m.in.Addresses, m.in.Routing})
	}
	m.announce(now)
	if handOver {
		m.advertise(now)
	}
	m.again = later(now, m.in.Announce.RepeatAfter)
	m.refresh = later(now, m.in.Announce.Refresh)
	m.enter(Master, reason, now)
}

// later returns the time d after now, or the zero time if d is not positive.
func later(now time.Time, d time.Duration) time.Time {
	if d <= 0 {
		return time.Time{}
	}
	return now.Add(d)
}

// expired reports whether a timer, which may be unset, has expired.
func expired(t, now time.Time) bool { return !t.IsZero() && !now.Before(t) }

// advertise sends an advert now and schedules the next one an interval later.
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
			m.due = next // a late timer does not delay the following adverts
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

// lapsed reports whether this process was stalled for so long that a router of lower priority has rightly taken over, and
// a backup would not be allowed to preempt that router. The stalled router must not regain mastership just because it did
// not notice that it had lost it.
func (m *Machine) lapsed(rival uint8, now time.Time) bool {
	if now.Sub(m.sent) < MasterDownInterval(m.in.Version, PriorityOwner, m.in.AdvertiseInterval) {
		return false
	}
	return m.preemptBar() != "" || m.in.PreemptDelay > 0 || rival == m.Priority()
}

// yield gives the addresses up to a better master, which already has them. That master may have been active all the time,
// cut off only on this interface, while hosts on another one accepted our announcements. It announces again when it
// receives the advert of a lesser or a leaving master, so yield sends it one. A lapsed router must not advertise its own
// priority; it sends priority 0.
func (m *Machine) yield(r Received, reason Reason, now time.Time) {
	if reason == ReasonLapsed {
		m.act(SendAdvert{PriorityResign})
	} else {
		m.advertise(now)
	}
	m.noteYield(now)
	m.dropAddresses()
	m.becomeBackup(heard{address: r.Source, priority: r.Priority, interval: r.Interval, at: r.At}, reason, now)
}

// answer sends an advert in answer to another router's, immediately as RFC 9568 (6.4.3) requires for priority 0. If the
// last answer was too recent, it instead moves the next advert forward, which then answers all of them.
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

// assert answers a lesser master, which yields when it receives our advert.
func (m *Machine) assert(now time.Time) {
	if now.Sub(m.sent) >= m.in.AdvertiseInterval/answerPart {
		m.answer(now)
	}
	m.announceAgain(now)
}

// announceAgain corrects hosts that accepted another master's announcements.
func (m *Machine) announceAgain(now time.Time) {
	if now.Sub(m.announced) >= announceGap {
		m.announce(now)
	}
	m.reassert = now.Add(reassertAfter)
}
