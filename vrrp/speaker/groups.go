package speaker

import (
	"iter"
	"slices"
	"time"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// group is a sync group of routers.
type group struct {
	name    string
	rules   *vrrp.Group
	routers []*router
}

// updateGroups forms the wanted sync groups from the running routers.
func (e *engine) updateGroups(now time.Time) {
	wanted := map[string][]*router{}
	for i := range e.wanted.Instances {
		in := &e.wanted.Instances[i]
		r := e.routers[keyOf(&in.Instance)]
		if in.Group != "" && r != nil && !r.removed && e.rejected[in.Name] == "" {
			wanted[in.Group] = append(wanted[in.Group], r)
		}
	}
	for name, g := range e.groups {
		if !slices.Equal(g.routers, wanted[name]) {
			e.removeGroup(g)
		}
	}
	for name, routers := range wanted {
		if e.groups[name] != nil {
			continue
		}
		g := &group{name: name, routers: routers}
		var members []*vrrp.Machine
		for _, r := range routers {
			r.group = g
			members = append(members, r.machine)
			e.note(r)
		}
		g.rules = vrrp.NewGroup(members...)
		e.groups[name] = g
		e.command(g, g.rules.Converge(now), now)
	}
}

func (e *engine) removeGroup(g *group) {
	delete(e.groups, g.name)
	for _, r := range g.routers {
		if r.group == g {
			r.group = nil
			e.note(r)
		}
	}
}

// command passes a group's commands to its members.
func (e *engine) command(g *group, commands []vrrp.Command, now time.Time) {
	for _, c := range commands {
		i := slices.IndexFunc(g.routers, func(r *router) bool { return r.machine == c.Member })
		e.stepAlone(g.routers[i], c.Event, now)
	}
}

// sharing holds the tracks that the members of a group share: for each effect, those of the first two members that have
// it, so that every member can get one from another member.
type sharing struct {
	tracks []vrrp.Track
	from   []*router
}

// share collects the tracks that the members of a group share.
func (e *engine) share(routers []*router) sharing {
	var s sharing
	count := map[vrrp.Effect]int{}
	for _, r := range routers {
		if r.group == nil {
			break
		}
		for _, t := range vrrp.Shared(r.group.name, r.instance.Name, r.next.reason, e.tracksOf(r)) {
			if count[t.Effect]++; count[t.Effect] <= 2 {
				s.tracks, s.from = append(s.tracks, t), append(s.from, r)
			}
		}
	}
	return s
}

// of returns the tracks that a member gets from the others.
func (s *sharing) of(r *router) []vrrp.Track {
	var out []vrrp.Track
	for i, t := range s.tracks {
		if s.from[i] != r && !slices.ContainsFunc(out, func(known vrrp.Track) bool { return known.Effect == t.Effect }) {
			out = append(out, t)
		}
	}
	return out
}

// updateEach updates routers, and each group of them once.
func (e *engine) updateEach(routers iter.Seq[*router], now time.Time) {
	done := map[*group]bool{}
	for r := range routers {
		if g := r.group; g != nil {
			if done[g] {
				continue
			}
			done[g] = true
		}
		e.updateCondition(r, now)
	}
}
