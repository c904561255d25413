package vrrp

import "time"

// PrepareTime is how long before a takeover its addresses are added, so that the first announcement and the first advert are
// on time. An old master that is still active keeps serving, because nothing is announced.
const PrepareTime = time.Millisecond

// calm is how long a router must not have yielded before it prepares to take over from a silent master. It is more than holdMost.
const calm = 2 * time.Second

// Prepare adds the addresses of a backup ahead of Takeover. If it does not take over then, it removes them. For a member of
// a group, At is the time of the group's takeover.
type Prepare struct{ At time.Time }

func (Prepare) isEvent() {}

// Takeover returns the time at which a backup takes over with addresses that were added before, unless an advert prevents it.
// It returns false if there is no such time, or the addresses are already present. A silent master may be alive: it must not
// lose its traffic to another user of its virtual MAC address, and routers that take over from each other because their hosts
// are too busy must not have more work.
func (m *Machine) Takeover() (at time.Time, ok bool) {
	if m.state != Backup || m.owns || m.silent(m.due) && (m.in.VMAC != nil || m.due.Sub(m.yielded) < calm) {
		return time.Time{}, false
	}
	if settled := m.settledFor(m.due); settled.After(m.due) {
		return settled, true
	}
	return m.due, true
}

// Takeover is Machine.Takeover for a member of the group, which makes all the others take over too.
func (g *Group) Takeover(m *Machine) (at time.Time, ok bool) {
	at, ok = m.Takeover()
	if _, waits := g.Admit(m, Timeout{}, at).(Defer); waits {
		return time.Time{}, false
	}
	return at, ok
}

func (m *Machine) prepare(group, now time.Time) {
	at, ok := m.Takeover()
	if !group.IsZero() {
		at, ok = group, m.state == Backup && !m.owns
	}
	if !ok || now.Before(at.Add(-PrepareTime)) {
		return
	}
	m.owns, m.early = true, true
	if !group.IsZero() {
		m.earlyUntil = group.Add(PrepareTime)
	}
	m.act(AddAddresses{m.in.Addresses, m.in.Routing})
}

// unprepare removes addresses that were added ahead of a takeover that is no longer imminent. A member of a group does not
// know that, and waits until the group should have taken over.
func (m *Machine) unprepare(now time.Time) {
	if !m.early || m.state != Backup {
		return
	}
	if m.earlyUntil.IsZero() && now.Before(m.due.Add(-PrepareTime)) || expired(m.earlyUntil, now) {
		m.dropAddresses()
	}
}
