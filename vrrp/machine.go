package vrrp

import (
	"net/netip"
	"time"
)

// Machine is the state machine of one virtual router (RFC 9568, 6.4; RFC 3768, 6.4), with a state Leaving between
// Master and Backup or Initialize. It has no side effects: Step takes an event and returns the actions to carry out.
type Machine struct {
	in      Instance
	tracks  []Track
	effects effects // of the tracks
	missing Reason  // why the interface is not usable; empty if it is

	state       State
	started     time.Time // first Up
	reason      Reason
	since       time.Time
	transitions uint64

	source netip.Addr // primary address
	owns   bool       // the virtual addresses are on the interface
	early  bool       // ... because they were added by Prepare

	earlyUntil time.Time // when a member of a group removes them again

	due       time.Time // Master: next advert. Backup: master-down. Leaving: the time limit.
	again     time.Time // Master: second announcement. Leaving: second priority 0.
	refresh   time.Time // Master: next refreshing announcement
	reassert  time.Time // Master: announcement after another master's advert
	sent      time.Time // last advert
	answered  time.Time // last advert sent in answer to another router's
	owed      bool      // the next advert is an answer
	yielded   time.Time // last time that it yielded mastership
	flaps     uint8     // times that it yielded soon after the time before
	announced time.Time

	master       heard     // the master that a backup follows
	masterLeft   bool      // the master has sent priority 0
	rival        heard     // a master of lower priority that the backup is about to preempt
	preemptAfter time.Time // end of the preemption delay; zero if it has not started

	leaving departure

	actions []Action
}

// heard is the last advert of another master.
type heard struct {
	address  netip.Addr
	priority uint8
	interval time.Duration
	at       time.Time
}

// NewMachine returns a machine in Initialize, which waits for Up.
func NewMachine(in Instance) *Machine {
	return &Machine{in: in, state: Initialize, reason: ReasonStart, missing: ReasonStart}
}

// Step takes one event and returns the actions to carry out, in order. The slice is valid until the next Step. Pass
// adverts that have already arrived before a Timeout that is due: a reader that is late is no sign of a failed master.
func (m *Machine) Step(ev Event, now time.Time) []Action {
	m.actions = m.actions[:0]
	switch ev := ev.(type) {
	case Timeout:
		m.timeout(now)
	case Received:
		m.received(ev, now)
	case Up:
		m.up(ev, now)
	case Down:
		m.down(ev, now)
	case Configure:
		if m.early {
			m.dropAddresses()
		}
		m.configure(ev.Instance, now)
	case SetTracks:
		m.setTracks(ev.Tracks, now)
	case Resign:
		m.resign(ev.Reason, now)
	case Promote:
		m.promoted(ev.HandOver, now)
	case StepDown:
		m.stepDown(ev.GiveUp, now)
	case Defer:
		if m.state == Backup && ev.Until.After(m.due) {
			m.due = ev.Until
		}
	case AddressesFound:
		m.owns = m.owns || m.state == Backup
	case Prepare:
		m.prepare(ev.At, now)
	}
	m.unprepare(now)
	return m.actions
}

// Deadline returns the time at which Step needs a Timeout event, or false if the machine waits only for other events. The
// time may be in the past.
func (m *Machine) Deadline() (time.Time, bool) {
	if m.state == Initialize {
		return time.Time{}, false
	}
	first := m.due
	for _, t := range [...]time.Time{m.again, m.refresh, m.reassert, m.earlyUntil} {
		if !t.IsZero() && t.Before(first) {
			first = t
		}
	}
	return first, true
}

// State returns the state.
func (m *Machine) State() State { return m.state }

// Since returns the time of the last transition.
func (m *Machine) Since() time.Time { return m.since }

// Priority returns the effective priority: the configured one plus the offsets of tracks, 1 to 254, or 255 for an owner;
// 1 for a last resort.
func (m *Machine) Priority() uint8 {
	switch {
	case m.effects.lastResort:
		return 1
	case m.in.Priority == PriorityOwner:
		return PriorityOwner
	}
	return uint8(min(max(int(m.in.Priority)+m.effects.offset, 1), PriorityOwner-1))
}

// Status returns the machine's part of the status. The speaker adds the packet counters.
func (m *Machine) Status() Status {
	s := Status{
		Name:              m.in.Name,
		Interface:         m.in.Interface,
		VirtualRouterID:   m.in.VirtualRouterID,
		Family:            m.in.Family,
		Version:           m.in.Version,
		State:             m.state,
		Reason:            string(m.reason),
		Since:             m.since,
		Priority:          m.in.Priority,
		EffectivePriority: m.Priority(),
		AdvertiseInterval: m.Interval(),
		SkewTime:          m.skew(),
		MasterDownTime:    m.masterDown(),
		Transitions:       m.transitions,
		PreemptHeld:       m.heldBecause(),
		Tracks:            m.tracks,
		Addresses:         make([]string, 0, len(m.in.Addresses)),
	}
	for _, a := range m.in.Addresses {
		s.Addresses = append(s.Addresses, a.Prefix.String())
	}
	switch m.state {
	case Master:
		s.MasterAddress, s.MasterPriority = m.source.String(), m.Priority()
	case Backup:
		if m.master.address.IsValid() {
			s.MasterAddress, s.MasterPriority = m.master.address.String(), m.master.priority
		}
	}
	return s
}

func (m *Machine) act(a Action) { m.actions = append(m.actions, a) }

// enter records and reports the transition. It must follow the actions that carry it out.
func (m *Machine) enter(to State, reason Reason, now time.Time) {
	from := m.state
	m.state, m.reason, m.since = to, reason, now
	m.act(Changed{From: from, To: to, Reason: reason})
}

// dropAddresses removes the virtual addresses from the interface if they are present.
func (m *Machine) dropAddresses() {
	if !m.owns {
		return
	}
	m.owns, m.early, m.earlyUntil = false, false, time.Time{}
	m.act(RemoveAddresses{m.in.Addresses, m.in.Routing})
}

func (m *Machine) timeout(now time.Time) {
	switch m.state {
	case Backup:
		if !now.Before(m.due) {
			m.takeOver(now)
		}
	case Master:
		m.masterTimeout(now)
	case Leaving:
		m.leavingTimeout(now)
	}
}

func (m *Machine) received(r Received, now time.Time) {
	r.Source = r.Source.WithZone("")
	if r.At.IsZero() || r.At.After(now) {
		r.At = now
	}
	switch m.state {
	case Backup:
		m.backupReceived(r, now)
	case Master:
		m.masterReceived(r, now)
	case Leaving:
		m.leavingReceived(r, now)
	}
}
