package config

import (
	"github.com/hashicorp/hcl/v2"
)

// syncGroups sees that each member of a group is an instance, of one group only, and that its priorities make sense.
func syncGroups(f *file) hcl.Diagnostics {
	var diags hcl.Diagnostics
	instances := map[string]*vrrpBlock{}
	var names []string
	for _, b := range f.VRRP {
		instances[b.Name.value] = b
		names = append(names, b.Name.value)
	}
	groups := map[string]*syncGroupBlock{}
	for _, group := range f.SyncGroups {
		if !group.Instances.isOK() {
			continue
		}
		if len(group.Instances.value) < 2 {
			diags = append(diags, problem(group.Instances.at(), "Invalid instances", "A sync_group needs at least two instances."))
		}
		var first *vrrpBlock
		for _, member := range group.Instances.value {
			in := instances[member.value]
			switch other := groups[member.value]; {
			case in == nil:
				diags = append(diags, problem(member.at, "Unknown vrrp block",
					"There is no vrrp block %q.%s", member.value, didYouMean(member.value, names)))
				continue
			case other == group:
				diags = append(diags, problem(member.at, "Duplicate instance", "%q is listed twice.", member.value))
				continue
			case other != nil:
				diags = append(diags, problem(member.at, "Instance in two groups",
					"The sync_group %q at %s already has %q. An instance can be in one group only.", other.Name.value, where(other.At), member.value))
				continue
			}
			groups[member.value] = group
			if first == nil {
				first = in
			}
			diags = append(diags, memberDoubts(f, group, first, in)...)
		}
	}
	return diags
}

// memberDoubts are problems of an instance in a group with another one.
func memberDoubts(f *file, group *syncGroupBlock, first, in *vrrpBlock) hcl.Diagnostics {
	var diags hcl.Diagnostics
	used := map[string]*trackBlock{}
	for _, t := range group.Tracks {
		used[t.Name.value] = t
	}
	doubt := func(at hcl.Range, weight int64) {
		if weight != 0 {
			diags = append(diags, warning(at, "Weight of one member",
				"This changes the priority of only one member of the sync_group %q, so the group may not move. Put the track in the sync_group, or remove its weight.",
				group.Name.value))
		}
	}
	for _, t := range in.TrackInterfaces {
		doubt(t.Weight.at(), t.Weight.value)
	}
	for _, t := range in.Tracks {
		doubt(f.weightOf(t))
		if used[t.Name.value] != nil {
			diags = append(diags, problem(t.Name.at(), "Duplicate track",
				"The sync_group block %q already uses the track %q at %s. Remove one of them.", group.Name.value, t.Name.value, where(used[t.Name.value].At)))
		}
	}
	switch {
	case !first.Priority.isOK() || !in.Priority.isOK() || !first.Preempt.isOK() || !in.Preempt.isOK():
	case first.Priority.value != in.Priority.value:
		diags = append(diags, warning(in.Priority.at(), "Different priorities in a group",
			"%q has priority %d, and %q of the same sync_group has %d. Give all of them the same priority, or the group may not move when it should.",
			in.Name.value, in.Priority.value, first.Name.value, first.Priority.value))
	case first.Preempt.value != in.Preempt.value:
		diags = append(diags, warning(in.Preempt.at(), "Different preempt in a group",
			"%q and %q of the same sync_group differ in preempt. The group preempts only when all its instances do.", in.Name.value, first.Name.value))
	}
	return diags
}
