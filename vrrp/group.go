package vrrp

import "time"

// Group keeps virtual routers together: all are master, or none is. It has no side effects: it says which events its
// members have to take because of a step of one of them. Faults are shared by tracks, see Shared.
type Group struct {
	members []*Machine
	master  bool
}

// NewGroup joins machines that may already be running. Close the gaps between them with Converge.
func NewGroup(members ...*Machine) *Group { return &Group{members: members} }

// Command is an event that a member has to take.
type Command struct {
	Member *Machine
	Event  Event
}

// Promote makes a member master because another has become one. HandOver says that the former master may still be
// serving.
type Promote struct{ HandOver bool }

// StepDown ends a member's mastership because another's has ended: it sends priority 0 and serves until its successor is heard.
// GiveUp says that it then stops serving even if there is none.
type StepDown struct{ GiveUp bool }

// Defer has a backup wait longer before it takes over.
type Defer struct{ Until time.Time }

func (Promote) isEvent()  {}
func (StepDown) isEvent() {}
func (Defer) isEvent()    {}

// aliveIntervals is for how many intervals after its last advert a master counts as alive for the other members of a
// group. When one member has waited three intervals, a router that is dead has been silent on all for more than two.
const aliveIntervals = 2

// Admit returns what a member gets in place of an event: it does not take over from a dead master while another member follows
// one that is alive, since the group would be split. A router that sends priority 0 for one member gives up all of them.
func (g *Group) Admit(m *Machine, ev Event, now time.Time) Event {
	if _, timeout := ev.(Timeout); !timeout || m.state != Backup || m.masterLeft || now.Before(m.due) {
		return ev
	}
	if until := g.barred(m, now); !until.IsZero() {
		return Defer{until}
	}
	return ev
}

// barred is until when a member has to wait because of the others' masters, or their startup delay; zero if it does not.
func (g *Group) barred(m *Machine, now time.Time) time.Time {
	var until time.Time
	for _, o := range g.members {
		if o == m || o.state != Backup {
			continue
		}
		if end := o.startupOver(); end.After(now) && end.After(until) {
			until = end
		}
		if o.masterLeft || !o.master.address.IsValid() {
			continue
		}
		if end := o.master.at.Add(aliveIntervals * o.adopt(o.master.interval)); end.After(now) && end.After(until) {
			until = end
		}
	}
	return until
}

// After returns what the members have to do after a step that has changed a member's state.
func (g *Group) After(m *Machine, from State) []Command {
	was := g.master
	switch {
	case m.state == Master && was, m.state == Initialize && from == Initialize:
		return nil
	case was && m.state == Backup && from == Initialize:
		return []Command{{m, Promote{HandOver: true}}} // it starts later than the others
	}
	if g.master = m.state == Master; g.master {
		return g.promote(m)
	}
	var out []Command
	for _, o := range g.members {
		giveUp := m.state == Backup
		switch {
		case o == m:
		case o.state == Master, o.state == Leaving && giveUp && o.leaving.next == Backup && !o.leaving.giveUp:
			out = append(out, Command{o, StepDown{giveUp}})
		}
	}
	return out
}

func (g *Group) promote(by *Machine) []Command {
	var out []Command
	for _, o := range g.members {
		if o != by && (o.state == Backup || o.state == Leaving && o.leaving.next == Backup) {
			out = append(out, Command{o, Promote{HandOver: by.reason != ReasonMasterDownTimer}})
		}
	}
	return out
}

// Converge returns what brings members together that were on their own: to the side of a master, unless another member
// follows one that is alive.
func (g *Group) Converge(now time.Time) []Command {
	for _, m := range g.members {
		if m.state == Master && g.barred(m, now).IsZero() {
			g.master = true
			return g.promote(m)
		}
	}
	var out []Command
	g.master = false
	for _, m := range g.members {
		if m.state == Master {
			out = append(out, Command{m, StepDown{GiveUp: true}})
		}
	}
	return out
}

// Shared returns the tracks that a member gets from another of its group: a fault, or the last resort, of one is that of
// all, and so is a hold. missing is why the other's interface cannot be used; empty: it can.
func Shared(group, other string, missing Reason, tracks []Track) []Track {
	var out []Track
	add := func(effect Effect, why string) {
		for _, t := range out {
			if t.Effect == effect {
				return
			}
		}
		out = append(out, Track{Name: group, Kind: TrackGroup, Effect: effect, Reason: other + ": " + why})
	}
	if missing != "" {
		add(EffectFault, string(missing))
	}
	for _, t := range tracks {
		if t.Effect == EffectFault || t.Effect == EffectLastResort || t.Effect == EffectHold {
			add(t.Effect, t.Name+": "+t.Reason)
		}
	}
	return out
}

// promoted takes over because the group is master now.
func (m *Machine) promoted(handOver bool, now time.Time) {
	switch {
	case m.state == Backup:
		m.takeMastership(ReasonGroup, handOver, now)
	case m.state == Leaving && m.leaving.next == Backup && !m.leaving.final:
		m.stay(ReasonGroup, now)
	}
}

// stepDown leaves because the group is no longer master.
func (m *Machine) stepDown(giveUp bool, now time.Time) {
	switch m.state {
	case Master:
		m.leave(departure{next: Backup, reason: ReasonGroup, giveUp: giveUp}, now)
	case Leaving:
		m.leaving.giveUp = m.leaving.giveUp || giveUp
	}
}
