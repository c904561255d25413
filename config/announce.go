package config

import (
	"time"

	"github.com/hashicorp/hcl/v2"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// announceBlock is an `announce` block within a `vrrp` block.
type announceBlock struct {
	At          hcl.Range           `hcl:",def_range"`
	Count       attr[int64]         `hcl:"count,optional" default:"5" range:"1..100"`
	RepeatAfter attr[time.Duration] `hcl:"repeat_after,optional" default:"5s" range:"0s..1h"`
	Refresh     attr[time.Duration] `hcl:"refresh,optional" default:"0s" range:"0s..24h"`
}

// announceLimitBlock is an `announce_limit` block.
type announceLimitBlock struct {
	At          hcl.Range            `hcl:",def_range"`
	Interfaces  attr[[]item[ifname]] `hcl:"interfaces,optional" unset:"each other interface on its own"`
	ARPInterval attr[time.Duration]  `hcl:"arp_interval,optional" default:"0s" range:"0s..1h"`
	NAInterval  attr[time.Duration]  `hcl:"na_interval,optional" default:"0s" range:"0s..1h"`
}

func (f *file) announceLimits() []vrrp.AnnounceLimit {
	var out []vrrp.AnnounceLimit
	for _, b := range f.AnnounceLimits {
		limit := vrrp.AnnounceLimit{ARPInterval: b.ARPInterval.value, NAInterval: b.NAInterval.value}
		for _, name := range b.Interfaces.value {
			limit.Interfaces = append(limit.Interfaces, string(name.value))
		}
		out = append(out, limit)
	}
	return out
}

// announceLimits rejects a second limit for an interface.
func announceLimits(f *file) hcl.Diagnostics {
	var diags hcl.Diagnostics
	var others *announceLimitBlock
	seen := map[ifname]hcl.Range{}
	for b := range each(f.AnnounceLimits, &diags) {
		switch {
		case !b.Interfaces.isOK():
			continue
		case b.Interfaces.isSet() && len(b.Interfaces.value) == 0:
			diags = append(diags, problem(b.Interfaces.at(), "Invalid interfaces", "Name at least one interface, or remove interfaces to limit each other interface on its own."))
		case !b.Interfaces.isSet() && others != nil:
			diags = append(diags, problem(b.At, "Duplicate announce_limit",
				"The announce_limit block at %s already applies to each other interface. Name interfaces in one of them.", where(others.At)))
		case !b.Interfaces.isSet():
			others = b
		}
		for _, name := range b.Interfaces.value {
			if first, duplicate := seen[name.value]; duplicate {
				diags = append(diags, problem(name.at, "Duplicate interface", "%s already has a limit at %s. Remove one of them.", name.value, where(first)))
				continue
			}
			seen[name.value] = name.at
		}
		if b.ARPInterval.isOK() && b.NAInterval.isOK() && b.ARPInterval.value == 0 && b.NAInterval.value == 0 {
			diags = append(diags, warning(b.At, "No limit", "Both intervals are 0, so this has no effect. Set arp_interval or na_interval."))
		}
	}
	return diags
}
