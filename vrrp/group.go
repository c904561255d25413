package vrrp

import "time"

// Group is a sync group of virtual routers: either all of them are master, or none is. It has no side effects: it returns
// the events that its members must process after a step of one of them. Faults are shared through tracks; see Shared.
type Group struct {
	members []*Machine
	master  bool
}

// NewGroup returns a group of machines, which may already be running. Call Converge to bring their states together.
func NewGroup(members ...*Machine) *Group { return &Group{members: members} }

// Command is an event that a member must process.
type Command struct {
	Member *Machine
	Event  Event
}

// Promote makes a member master because another member has become master. HandOver means that the former master may still
// be serving.
type Promote struct{ HandOver bool }

// StepDown ends a member's mastership because another member's has ended. The member sends priority 0 and serves until it
// receives its successor's advert. GiveUp means that it finally stops serving even if no successor appears.
type StepDown struct{ GiveUp bool }

// Defer makes a backup wait longer before it takes over.
type Defer struct{ Until time.Time }

func (Promote) isEvent()  {}
func (StepDown) isEvent() {}
func (Defer) isEvent()    {}

// aliveIntervals is the number of intervals after its last advert during which a master counts as alive for the other
// members of a group. When one member has waited three intervals, a failed router has been silent on all of them for
// more than two.
const aliveIntervals = 2

// Admit returns the event that a member must process instead of ev. A member does not take over from a failed master while
// another member follows an active one, because that would split the group, nor while another member has just yielded or
// started. A router that sends priority 0 for one member gives up all members.
func (g *Group) Admit(m *Machine, ev Event, now time.Time) Event {
	if _, timeout := ev.(Timeout); !timeout || m.state != Backup || now.Before(m.due) {
		return ev
	}
	if until := g.waitUntil(m); until.After(now) {
		return Defer{until}
	}
	return ev
}

// waitUntil returns the time until which a member must not take over because of the other members.
func (g *Group) waitUntil(m *Machine) time.Time {
	var until time.Time
	for _, o := range g.members {
		if o == m || o.state != Backup {
			continue
		}
		if end := o.settled(); end.After(until) {
			until = end
		}
		if m.masterLeft || o.masterLeft || !o.master.address.IsValid() {
			continue
		}
		if end := o.master.at.Add(aliveIntervals * o.adopt(o.master.interval)); end.After(until) {
			until = end
		}
	}
	return until
}

// After returns the commands for the members after a step of a member, which had the given state before.
func (g *Group) After(m *Machine, from State) []Command {
	was := g.master
	started := m.state == Backup && from == Initialize
	recovered := m.state == Leaving && from == Leaving && m.leaving.next == Backup
	switch {
	case was && (started || recovered):
		return []Command{{m, Promote{HandOver: true}}} // later than the others
	case m.state == from, m.state == Master && was:
		return nil
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

// Converge returns the commands that bring members with independent states together: all become master if one is, unless
// another member follows an active master.
func (g *Group) Converge(now time.Time) []Command {
	for _, m := range g.members {
		if m.state == Master && !g.waitUntil(m).After(now) {
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

// Shared returns the tracks that a member gets from another member of its group: a fault, last resort or hold of one
// member applies to all. missing is the reason why the other member's interface is not usable, or empty if it is.
func Shared(group, other string, missing Reason, tracks []Track) []Track {
	var out []Track
	add := func(effect Effect, pending bool, why string) {
		track := Track{Name: group, Kind: TrackGroup, Effect: effect, Pending: pending, Reason: other + ": " + why}
		for i, t := range out {
			if t.Effect == effect {
				if t.Pending && !pending {
					out[i] = track
				}
				return
			}
		}
		out = append(out, track)
	}
	if missing != "" {
		add(EffectFault, false, string(missing))
	}
	for _, t := range tracks {
		if t.Effect == EffectFault || t.Effect == EffectLastResort || t.Effect == EffectHold {
			add(t.Effect, t.Pending, t.Name+": "+t.Reason)
		}
	}
	return out
}

// promoted takes over because the group is now master.
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
