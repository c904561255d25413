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
func (in *Inputs) ramp(v *Verdict, vs *config.VirtualService) map[ipvs.DestinationKey]time.Time {
	if vs.SlowStart <= 0 {
		return nil
	}
	recovering := map[ipvs.DestinationKey]time.Time{}
	former, remembered := in.Memories[vs.ServiceKey]
	for i := range v.Members {
		m := &v.Members[i]
		key := m.Destination.DestinationKey
		since, known := former.Recovering[key]
		if !remembered {
			since, known = in.interrupted(vs, &vs.RealServers[i])
		}
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

// interrupted returns since when a server has been recovering that a restart has interrupted: it was found with a part of its weight.
// One whose checks set the weight may have been found with less for another reason.
func (in *Inputs) interrupted(vs *config.VirtualService, rs *config.RealServer) (since time.Time, known bool) {
	found, whole := uint64(in.Adopted[Server{vs.ServiceKey, rs.DestinationKey}]), uint64(in.baseWeight(vs, rs))
	if found == 0 || found >= whole {
		return time.Time{}, false
	}
	for t := range Targets(vs, rs) {
		if t.Spec.Weight != nil || t.Spec.Vetoes() {
			return time.Time{}, false
		}
	}
	done := (found*rampSteps + whole - 1) / whole // steps, the first of which was taken at the start
	return in.Now.Add(-(vs.SlowStart*time.Duration(done-1) + rampSteps - 1) / rampSteps), true
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
