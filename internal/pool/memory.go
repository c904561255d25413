package pool

import (
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/ipvs"
)

// Memory is what a verdict must know about the last one on the same service. The zero value is no memory. Its maps must not be
// changed.
type Memory struct {
	Quorum     healthcheck.State                 // the last one that was known
	Since      time.Time                         // of Quorum
	InUse      map[ipvs.DestinationKey]bool      // with min_up: the real servers in use, or replaced by sorry servers
	Recovering map[ipvs.DestinationKey]time.Time // with slow_start: since when; zero while out of service
	Leaving    map[ipvs.DestinationKey]Leaving   // with linger
}

// inUse returns the real servers with a weight, if min_up needs them.
func inUse(v Verdict, vs *config.VirtualService) map[ipvs.DestinationKey]bool {
	if vs.MinUp == (config.MinUp{}) {
		return nil
	}
	used := map[ipvs.DestinationKey]bool{}
	for _, m := range v.Members {
		if m.InTable && m.Destination.Weight > 0 && !m.Sorry {
			used[m.Destination.DestinationKey] = true
		}
	}
	return used
}
