package vrrp

import "time"

// A router that has yielded does not take over within half its interval. Otherwise forged adverts that alternate between
// a high priority and priority 0 would cause a transition for every packet. The bounds keep that time shorter than a
// leaving master keeps serving (see leave), so that every address stays served, and shorter than three intervals, so
// that a master that fails just after the router yielded to it is replaced on time.
const (
	settlePart      = 2
	settleLeast     = 50 * time.Millisecond
	settleMost      = time.Second
	settleIntervals = 2
)

// settleTime returns the minimum time between yielding and taking over again.
func (in *Instance) settleTime() time.Duration {
	return min(max(in.AdvertiseInterval/settlePart, settleLeast), settleMost, settleIntervals*in.AdvertiseInterval)
}

// A router that yields again soon after it last did has taken over from a master that was alive: one of the two hosts is too
// busy. It then waits longer after each time, up to holdMost, before it takes over without an advert: a takeover and its
// end are more work than the adverts, and keep a busy host from receiving them.
const (
	holdMost = time.Second
	holdSoon = 10 * time.Second
	holdStep = 4 // each time, as much longer
)

// noteYield counts yields that follow each other soon.
func (m *Machine) noteYield(now time.Time) {
	switch {
	case m.yielded.IsZero() || now.Sub(m.yielded) > holdSoon:
		m.flaps = 0
	case m.holdDown() < holdMost:
		m.flaps++
	}
	m.yielded = now
}

// holdDown returns the minimum time between yielding and taking over from a silent master. It matters only for short
// intervals: others have a longer master-down interval.
func (m *Machine) holdDown() time.Duration {
	d := m.in.settleTime()
	for range m.flaps {
		d *= holdStep
	}
	return min(d, holdMost)
}

// becomeBackup follows the given master, or waits for an advert if it is the zero value.
func (m *Machine) becomeBackup(master heard, reason Reason, now time.Time) {
	m.master, m.rival, m.masterLeft = master, heard{}, false
	m.again, m.refresh, m.reassert, m.preemptAfter = time.Time{}, time.Time{}, time.Time{}, time.Time{}
	m.enter(Backup, reason, now)
	since := now
	if master.address.IsValid() {
		since = master.at
	}
	m.due = since.Add(m.masterDown())
}

func (m *Machine) backupReceived(r Received, now time.Time) {
	if r.Priority == PriorityResign {
		m.masterLeft = true
		if t := r.At.Add(m.skew()); t.Before(m.due) {
			m.due = t
		}
		return
	}
	other := heard{address: r.Source, priority: r.Priority, interval: r.Interval, at: r.At}
	if r.Priority >= m.Priority() {
		m.dropAddresses()
		m.preemptAfter = time.Time{}
		m.follow(other)
		return
	}
	if !m.early {
		m.dropAddresses() // leftover addresses: another router is master
	}
	if m.startPreempting(now) {
		m.rival = other
		return
	}
	m.follow(other)
}

// follow accepts a master and restarts the master-down timer.
func (m *Machine) follow(other heard) {
	known := m.master.address == other.address && m.master.priority == other.priority && m.master.interval == other.interval
	m.master, m.rival, m.masterLeft = other, heard{}, false
	m.due = other.at.Add(m.masterDown())
	if !known {
		m.act(MasterHeard{Address: other.address, Priority: other.priority, Interval: m.Interval(), Advertised: other.interval})
	}
}

// startupOver returns the earliest time at which the router may become master after its start.
func (m *Machine) startupOver() time.Time { return m.started.Add(m.in.StartupDelay) }

// settled returns the earliest time at which the router may become master.
func (m *Machine) settled() time.Time {
	settled := m.yielded.Add(m.in.settleTime())
	if over := m.startupOver(); over.After(settled) {
		return over
	}
	return settled
}

// silent reports whether the takeover at the given time is one from a master that neither leaves nor is preempted.
func (m *Machine) silent(at time.Time) bool { return !m.masterLeft && !m.rivalAlive(at) }

// settledFor is settled for a takeover at the given time. From a silent master, the router does not take over during its
// hold-down.
func (m *Machine) settledFor(at time.Time) time.Time {
	settled := m.settled()
	if held := m.yielded.Add(m.holdDown()); m.silent(at) && held.After(settled) {
		return held
	}
	return settled
}

// takeOver handles the expiry of the master-down timer.
func (m *Machine) takeOver(now time.Time) {
	settled := m.settledFor(now)
	switch {
	case now.Before(settled):
		m.due = settled
	case m.masterLeft:
		m.becomeMaster(ReasonPriorityZero, now)
	case m.rivalAlive(now):
		m.becomeMaster(ReasonPreempt, now)
	default:
		m.becomeMaster(ReasonMasterDownTimer, now)
	}
}

// startPreempting reports whether an active master of lower priority may be preempted now. It starts the preempt delay at
// the first advert of such a master.
func (m *Machine) startPreempting(now time.Time) bool {
	if m.preemptAfter.IsZero() {
		m.preemptAfter = now.Add(m.in.PreemptDelay)
	}
	return m.preemptBar() == "" && !now.Before(m.preemptAfter)
}

// preemptBar returns why an active master must not be preempted, or ""; it does not consider the delay. An owner
// preempts regardless of Preempt (RFC 9568, 6.1).
func (m *Machine) preemptBar() string {
	if m.effects.hold == "" && !m.in.Preempt && m.Priority() != PriorityOwner {
		return "nopreempt"
	}
	return m.effects.hold
}

// heldBecause returns the status text for why a backup does not preempt a master of lower priority.
func (m *Machine) heldBecause() string {
	if m.state != Backup || !m.master.address.IsValid() || m.master.priority >= m.Priority() {
		return ""
	}
	if bar := m.preemptBar(); bar != "" {
		return bar
	}
	return "preempt-delay"
}

// rivalAlive reports whether the master that is about to be preempted has not timed out yet.
func (m *Machine) rivalAlive(now time.Time) bool {
	return !m.rival.at.IsZero() && now.Before(m.rival.at.Add(m.downAfter(m.rival.interval)))
}

// reconsiderRival follows the master that was about to be preempted if preemption is no longer allowed.
func (m *Machine) reconsiderRival(now time.Time) {
	if m.state == Backup && m.rivalAlive(now) && (m.rival.priority >= m.Priority() || !m.startPreempting(now)) {
		m.follow(m.rival)
	}
}
