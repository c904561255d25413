package pool

import (
	"iter"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/healthcheck"
)

// Targets returns the checks of a real server, each with the endpoint that it probes. A server's own checks replace those of
// its service. A sorry server has only its own.
func Targets(vs config.VirtualService, rs config.RealServer) iter.Seq[healthcheck.Target] {
	specs := rs.Checks
	if len(specs) == 0 && !rs.Sorry {
		specs = vs.Checks
	}
	return func(yield func(healthcheck.Target) bool) {
		for _, spec := range specs {
			if !yield(healthcheck.NewTarget(rs.Address, rs.Port, spec)) {
				return
			}
		}
	}
}
