package vrrp

import (
	"net/netip"
	"time"
)

// Snapshot is a machine as plain values, for a recording that begins in the middle of its life. Times are numbers that the
// caller's clock gives; 0 is none.
type Snapshot struct {
	Instance    Instance `json:"instance"`
	Tracks      []Track  `json:"tracks,omitempty"`
	Missing     Reason   `json:"missing,omitempty"`
	State       State    `json:"state"`
	Reason      Reason   `json:"reason"`
	Transitions uint64   `json:"transitions"`

	Source     netip.Addr `json:"source,omitzero"`
	Owns       bool       `json:"owns,omitempty"`
	Early      bool       `json:"early,omitempty"`
	Owed       bool       `json:"owed,omitempty"`
	MasterLeft bool       `json:"master_left,omitempty"`
	Flaps      uint8      `json:"flaps,omitempty"`

	Times  [machineTimes]int64 `json:"times"`
	Master Heard               `json:"master,omitzero"`
	Rival  Heard               `json:"rival,omitzero"`

	Next      State  `json:"next,omitempty"` // while leaving
	Leaving   Reason `json:"leaving,omitempty"`
	Final     bool   `json:"final,omitempty"`
	Recovered bool   `json:"recovered,omitempty"`
	GiveUp    bool   `json:"give_up,omitempty"`
}

// Heard is the last advert of another master.
type Heard struct {
	Address  netip.Addr    `json:"address,omitzero"`
	Priority uint8         `json:"priority"`
	Interval time.Duration `json:"interval"`
}

// machineTimes is the number of times in a machine.
const machineTimes = 14

func (m *Machine) times() [machineTimes]*time.Time {
	return [...]*time.Time{&m.started, &m.since, &m.earlyUntil, &m.due, &m.again, &m.refresh, &m.reassert, &m.sent, &m.answered, &m.yielded, &m.announced,
		&m.preemptAfter, &m.master.at, &m.rival.at}
}

// Snapshot returns the machine as it is. clock converts times other than zero to numbers other than 0.
func (m *Machine) Snapshot(clock func(time.Time) int64) Snapshot {
	s := Snapshot{
		Instance: m.in, Tracks: m.tracks, Missing: m.missing, State: m.state, Reason: m.reason, Transitions: m.transitions,
		Source: m.source, Owns: m.owns, Early: m.early, Owed: m.owed, MasterLeft: m.masterLeft, Flaps: m.flaps,
		Master: Heard{m.master.address, m.master.priority, m.master.interval},
		Rival:  Heard{m.rival.address, m.rival.priority, m.rival.interval},
		Next:   m.leaving.next, Leaving: m.leaving.reason, Final: m.leaving.final, Recovered: m.leaving.recovered, GiveUp: m.leaving.giveUp,
	}
	for i, t := range m.times() {
		if !t.IsZero() {
			s.Times[i] = clock(*t)
		}
	}
	return s
}

// Restore returns the machine of a snapshot.
func Restore(s Snapshot, clock func(int64) time.Time) *Machine {
	m := &Machine{
		in: s.Instance, tracks: s.Tracks, effects: combine(s.Tracks), missing: s.Missing, state: s.State, reason: s.Reason, transitions: s.Transitions,
		source: s.Source, owns: s.Owns, early: s.Early, owed: s.Owed, masterLeft: s.MasterLeft, flaps: s.Flaps,
		master:  heard{address: s.Master.Address, priority: s.Master.Priority, interval: s.Master.Interval},
		rival:   heard{address: s.Rival.Address, priority: s.Rival.Priority, interval: s.Rival.Interval},
		leaving: departure{next: s.Next, reason: s.Leaving, final: s.Final, recovered: s.Recovered, giveUp: s.GiveUp},
	}
	for i, t := range m.times() {
		if s.Times[i] != 0 {
			*t = clock(s.Times[i])
		}
	}
	return m
}
