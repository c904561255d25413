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

// regroup makes the wanted sync groups of the routers that run.
func (e *engine) regroup(now time.Time) {
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
			e.dissolve(g)
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

func (e *engine) dissolve(g *group) {
	delete(e.groups, g.name)
	for _, r := range g.routers {
		if r.group == g {
			r.group = nil
			e.note(r)
		}
	}
}

// command has members of a group do what the group requires.
func (e *engine) command(g *group, commands []vrrp.Command, now time.Time) {
	for _, c := range commands {
		i := slices.IndexFunc(g.routers, func(r *router) bool { return r.machine == c.Member })
		e.stepAlone(g.routers[i], c.Event, now)
	}
}

// sharing is what the members of a group get from each other: of each effect the first two members that have it, so that
// there is one for each member.
type sharing struct {
	tracks []vrrp.Track
	from   []*router
}

// share finds what the members of a group have for each other.
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

// of are a member's tracks.
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
