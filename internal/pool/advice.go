package pool

import (
	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/healthcheck"
)

// advise applies to a passing server what its checks have learned about its share of the traffic. If several advise a weight
// or a limit, the smallest counts; to it, all numbers are added that checks add to the weight.
func (m *Member) advise(vs *config.VirtualService, rs *config.RealServer, advices []healthcheck.Advice) {
	weight, weighted, limit := rs.Weight, false, 0
	sum := healthcheck.Advice{}
	for _, advice := range advices {
		if advice.MaxConn > 0 && (limit == 0 || advice.MaxConn < limit) {
			limit = advice.MaxConn
		}
		switch {
		case advice.Mode == healthcheck.Maintenance:
			m.Reason = InMaintenance
		case advice.Mode == healthcheck.Drain && m.Reason != InMaintenance:
			m.Reason = Draining
		}
		if advice.Unit == healthcheck.Added {
			sum.Unit, sum.Number = healthcheck.Added, sum.Number+advice.Number
		} else if advised := advice.WeightOf(rs.Weight); advice.Unit != "" && (!weighted || advised < weight) {
			weight, weighted = advised, true
		}
	}
	if sum.Unit != "" {
		weight, weighted = sum.WeightOf(weight), true
	}
	if limit > 0 {
		m.Destination.UpperThreshold = uint32(limit)
		if m.Destination.LowerThreshold > m.Destination.UpperThreshold {
			m.Destination.LowerThreshold = 0 // three quarters of the upper one
		}
	}
	switch {
	case m.Reason == InMaintenance:
		m.InTable, m.Destination.Weight = vs.FailureOf(*rs) == config.Weight, 0
	case m.Reason == Draining:
		m.Destination.Weight = 0
	case weighted:
		m.Destination.Weight, m.Reason = weight, Advised
	}
}
