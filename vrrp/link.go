package vrrp

import "time"

// up starts an instance that was waiting for its interface.
func (m *Machine) up(ev Up, now time.Time) {
	m.source = ev.Source.WithZone("")
	if m.started.IsZero() {
		m.started = now
	}
	if m.state == Leaving && m.leaving.final {
		return
	}
	m.missing = ""
	if m.state != Initialize {
		return
	}
	m.owns = ev.HaveAddresses
	switch {
	case m.effects.fault != "":
		m.dropAddresses()
		if m.reason != m.effects.fault {
			m.enter(Initialize, m.effects.fault, now)
		}
	case ev.HaveAddresses && ev.Adopt:
		m.becomeMaster(ReasonAdopted, now)
	default:
		m.begin(now)
	}
}

// begin joins the election.
func (m *Machine) begin(now time.Time) {
	if m.Priority() == PriorityOwner && m.preemptBar() == "" && m.in.PreemptDelay == 0 && !now.Before(m.startupOver()) {
		m.becomeMaster(ReasonOwner, now)
		return
	}
	m.becomeBackup(heard{}, ReasonStartup, now)
}

// down stops an instance immediately because its interface is not usable.
func (m *Machine) down(ev Down, now time.Time) {
	m.missing = ev.Reason
	if m.state != Initialize || m.reason != ev.Reason {
		m.initialize(ev.Reason, now)
	}
}

func (m *Machine) initialize(reason Reason, now time.Time) {
	m.dropAddresses()
	m.again, m.refresh, m.reassert = time.Time{}, time.Time{}, time.Time{}
	m.master, m.rival, m.masterLeft = heard{}, heard{}, false
	m.enter(Initialize, reason, now)
}
