package vrrp

import "time"

// PrepareTime is how long before a takeover from an active master its addresses are added, so that the first announcement
// and the first advert are on time. The old master keeps serving, because nothing is announced.
const PrepareTime = time.Millisecond

// Prepare adds the addresses of a backup ahead of HandOver. If it does not take over then, it removes them.
type Prepare struct{}

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

func (m *Machine) prepare(now time.Time) {
	if at, ok := m.HandOver(); ok && !now.Before(at.Add(-PrepareTime)) {
		m.owns, m.early = true, true
		m.act(AddAddresses{m.in.Addresses, m.in.Routing})
	}
}

// unprepare removes addresses that were added ahead of a takeover that is no longer imminent.
func (m *Machine) unprepare(now time.Time) {
	if m.early && m.state == Backup && now.Before(m.due.Add(-PrepareTime)) {
		m.dropAddresses()
	}
}
