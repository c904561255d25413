package pool

import (
	"iter"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/healthcheck"
)

// ChecksOf returns the checks of a real server. A server's own checks replace those of its service. A sorry server has only
// its own.
func ChecksOf(vs *config.VirtualService, rs *config.RealServer) []healthcheck.Spec {
	if len(rs.Checks) == 0 && !rs.Sorry {
		return vs.Checks
	}
	return rs.Checks
}

// Targets returns the checks of a real server, each with the endpoint that it probes.
func Targets(vs *config.VirtualService, rs *config.RealServer) iter.Seq[healthcheck.Target] {
	specs := ChecksOf(vs, rs)
	return func(yield func(healthcheck.Target) bool) {
		for _, spec := range specs {
			if !yield(healthcheck.NewTarget(rs.Address, rs.Port, spec)) {
				return
			}
		}
	}
}
