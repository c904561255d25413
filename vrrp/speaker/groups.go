package speaker

import (
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

// sharedTracks are what a router gets from the other members of its group.
func (e *engine) sharedTracks(r *router) []vrrp.Track {
	if r.group == nil {
		return nil
	}
	var out []vrrp.Track
	for _, o := range r.group.routers {
		if o == r {
			continue
		}
		for _, t := range vrrp.Shared(r.group.name, o.instance.Name, o.next.reason, e.tracksOf(o)) {
			if !slices.ContainsFunc(out, func(known vrrp.Track) bool { return known.Effect == t.Effect }) {
				out = append(out, t)
			}
		}
	}
	return out
}
