package vrrp

import "time"

// PrepareTime is how long before a takeover from an active master its addresses are added, so that the first announcement
// and the first advert are on time. The old master keeps serving, because nothing is announced.
const PrepareTime = time.Millisecond

// Prepare adds the addresses of a backup ahead of HandOver. If it does not take over then, it removes them. For a member of
// a group, At is the time of the group's takeover.
type Prepare struct{ At time.Time }

func (Prepare) isEvent() {}

// HandOver returns the time at which a backup takes over from a master that may still be active, unless an advert
// prevents it. It returns false if there is no such time, or the addresses are already present.
func (m *Machine) HandOver() (at time.Time, ok bool) {
	if m.state != Backup || m.owns || !m.masterLeft && !m.rivalAlive(m.due) {
		return time.Time{}, false
	}
	if settled := m.settled(); settled.After(m.due) {
		return settled, true
	}
	return m.due, true
}

// HandOver is Machine.HandOver for a group: the first member that takes over makes all take over.
func (g *Group) HandOver() (at time.Time, ok bool) {
	for _, m := range g.members {
		t, hands := m.HandOver()
		if !hands || ok && !t.Before(at) {
			continue
		}
		if _, waits := g.Admit(m, Timeout{}, t).(Defer); !waits {
			at, ok = t, true
		}
	}
	return at, ok
}

func (m *Machine) prepare(group, now time.Time) {
	at, ok := m.HandOver()
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
