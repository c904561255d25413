package director

import (
	"context"
	"log/slog"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/internal/pool"
	"github.com/lvs-ha/lvs-ha/ipvs"
)

// inputs returns the inputs of verdicts, which share the director's maps.
func (d *Director) inputs() pool.Inputs {
	return pool.Inputs{Health: d.health, Adopted: d.adopted, Memories: d.memories}
}

// noteVerdict records a verdict that is about to be applied.
func (d *Director) noteVerdict(vs config.VirtualService, v pool.Verdict) {
	was := d.memories[vs.ServiceKey]
	d.memories[vs.ServiceKey] = v.Memory
	if was.Quorum != v.Memory.Quorum {
		level := slog.LevelInfo
		if v.Memory.Quorum == healthcheck.Down {
			level = slog.LevelWarn
		}
		d.Logger.Log(context.Background(), level, "quorum changed", "service", vs.Name, "from", was.Quorum, "to", v.Memory.Quorum, "live", v.Quorum.Live, "needed", v.Quorum.Needed)
	}
}

// forgetServices drops what is remembered of services that are no longer in the configuration.
func (d *Director) forgetServices() {
	configured := map[ipvs.ServiceKey]bool{}
	for _, key := range d.configured() {
		configured[key] = true
	}
	for key := range d.memories {
		if !configured[key] {
			delete(d.memories, key)
		}
	}
}
