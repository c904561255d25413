package vrrp

import "time"

// up starts an instance that waited for its interface.
func (m *Machine) up(ev Up, now time.Time) {
	m.source = ev.Source.WithZone("")
	switch m.state {
	case Initialize:
	case Leaving:
		// The cause for leaving is over before it has left. It has sent priority 0 and lets the others take over; then
		// it is a backup like any other.
		if !m.leaving.final {
			m.leaving.next = Backup
		}
		return
	default:
		return
	}
	m.owns = ev.HaveAddresses
	switch {
	case ev.HaveAddresses && ev.Adopt:
		m.becomeMaster(ReasonAdopted, now)
	case m.Priority() == PriorityOwner && m.preemptBar() == "" && m.in.PreemptDelay == 0:
		m.becomeMaster(ReasonOwner, now)
	default:
		m.becomeBackup(heard{}, ReasonStartup, now)
	}
}

// down stops an instance: cleanly where its own link still works.
func (m *Machine) down(ev Down, now time.Time) {
	switch {
	case m.state == Initialize:
		if m.reason != ev.Reason {
			m.enter(Initialize, ev.Reason, now)
		}
	case m.state == Leaving && ev.LinkUsable:
		if !m.leaving.final {
			m.leaving = departure{next: Initialize, reason: ev.Reason}
		}
	case m.state == Master && ev.LinkUsable:
		m.leave(departure{next: Initialize, reason: ev.Reason}, now)
	default:
		m.initialize(ev.Reason, now)
	}
}

func (m *Machine) initialize(reason Reason, now time.Time) {
	m.disown()
	m.again, m.refresh, m.reassert = time.Time{}, time.Time{}, time.Time{}
	m.master, m.rival, m.masterLeft = heard{}, heard{}, false
	m.enter(Initialize, reason, now)
}
