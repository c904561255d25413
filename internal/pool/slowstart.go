package pool

import (
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/ipvs"
)

// rampSteps is the number of weights that a recovering server has, one after the other.
const rampSteps = 20

// ramp reduces the weights of servers that have recovered. It returns since when each is recovering; the zero time means that it is
// out of service.
func (in Inputs) ramp(v *Verdict, vs config.VirtualService) map[ipvs.DestinationKey]time.Time {
	if vs.SlowStart <= 0 {
		return nil
	}
	recovering := map[ipvs.DestinationKey]time.Time{}
	former := in.Memories[vs.ServiceKey].Recovering
	for i := range v.Members {
		m := &v.Members[i]
		key := m.Destination.DestinationKey
		since, known := former[key]
		switch {
		case m.Reason == Kept:
		case m.State == healthcheck.Down, m.Reason == Disabled, m.Reason == InMaintenance:
			recovering[key] = time.Time{}
		case !known:
		case m.State != healthcheck.Up:
			recovering[key] = since
		default:
			if since.IsZero() {
				since = in.Now
			}
			step := int64(in.Now.Sub(since) * rampSteps / vs.SlowStart)
			if step >= rampSteps-1 {
				continue // the last step is the whole weight
			}
			recovering[key] = since
			m.rampTo(max(step, 0) + 1)
			v.changesAt(since.Add(vs.SlowStart * time.Duration(max(step, 0)+1) / rampSteps))
		}
	}
	return recovering
}

// rampTo sets the weight of a step. A server in use keeps at least 1.
func (m *Member) rampTo(step int64) {
	if weight := uint32(max(int64(m.Destination.Weight)*step/rampSteps, 1)); weight < m.Destination.Weight {
		m.Destination.Weight, m.Reason = weight, SlowStart
	}
}

// changesAt records that the verdict changes at a time without any event.
func (v *Verdict) changesAt(at time.Time) {
	if v.Changes.IsZero() || at.Before(v.Changes) {
		v.Changes = at
	}
}
