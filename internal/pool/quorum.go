package pool

import (
	"cmp"
	"slices"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/healthcheck"
)

// Quorum reports whether the real servers of a service are enough.
type Quorum struct {
	State  healthcheck.State
	Live   uint64 // servers that receive connections, or the sum of their weights
	Needed uint64 // for the next change: to keep the quorum if it is up, or else to gain it
	Since  time.Time
}

// quorum counts the real servers. As in keepalived, a service loses its quorum below quorum − hysteresis or with nothing left, and
// regains it at quorum + hysteresis. The first verdict has no hysteresis.
func (in *Inputs) quorum(vs *config.VirtualService, members []Member) Quorum {
	var q Quorum
	possible := uint64(0)
	for i := range members {
		m, rs := &members[i], &vs.RealServers[i]
		if rs.Sorry {
			continue
		}
		if m.Destination.Weight > 0 && m.State != healthcheck.Down {
			q.Live += counted(vs.Quorum, m.Destination.Weight)
		} else if m.State == healthcheck.Unknown {
			possible += counted(vs.Quorum, in.baseWeight(vs, rs))
		}
	}
	q.Needed = cmp.Or(vs.Quorum.Weight, uint64(vs.Quorum.Servers), 1)
	switch in.formerQuorum(vs) {
	case healthcheck.Up:
		q.Needed = max(q.Needed-min(vs.Quorum.Hysteresis, q.Needed), 1)
	case healthcheck.Down:
		q.Needed += vs.Quorum.Hysteresis
	}
	switch {
	case q.Live >= q.Needed:
		q.State = healthcheck.Up
	case q.Live+possible < q.Needed && !in.Waiting[vs.ServiceKey]:
		q.State = healthcheck.Down
	}
	return q
}

func counted(q config.Quorum, weight uint32) uint64 {
	switch {
	case q.Weight > 0:
		return uint64(weight)
	case weight > 0:
		return 1
	}
	return 0
}

// formerQuorum returns the state after the last verdict. Without memory, the servers found in use show it, if the service has sorry
// servers.
func (in *Inputs) formerQuorum(vs *config.VirtualService) healthcheck.State {
	former := in.Memories[vs.ServiceKey].Quorum
	switch {
	case former != healthcheck.Unknown:
	case in.found(vs, true):
		return healthcheck.Down
	case slices.ContainsFunc(vs.RealServers, func(rs config.RealServer) bool { return rs.Sorry }) && in.found(vs, false):
		return healthcheck.Up
	}
	return former
}

// found reports whether a sorry server, or a real server, was found in use in the kernel.
func (in *Inputs) found(vs *config.VirtualService, sorry bool) bool {
	for _, rs := range vs.RealServers {
		if rs.Sorry == sorry && in.Adopted[Server{vs.ServiceKey, rs.DestinationKey}] > 0 {
			return true
		}
	}
	return false
}

// distribute sets the weights of the servers that must not receive connections now: the sorry servers while there is a
// quorum, the real servers while a sorry server replaces them. They keep their connections, if the kernel can do that.
func (in *Inputs) distribute(v *Verdict, vs *config.VirtualService) {
	usable := false
	for i := range v.Members {
		usable = usable || vs.RealServers[i].Sorry && v.Members[i].Destination.Weight > 0
	}
	lost := v.Quorum.State == healthcheck.Down || v.Quorum.State == healthcheck.Unknown && in.found(vs, true)
	for i := range v.Members {
		m := &v.Members[i]
		if m.Sorry == (lost && usable) {
			continue
		}
		switch {
		case m.Destination.Weight == 0:
		case m.Reason == Kept:
			m.Reason, m.InTable = CheckFailed, vs.FailureOf(vs.RealServers[i]) == config.Weight
		case m.Sorry:
			m.Reason = Standby
		default:
			m.Reason = NoQuorum
		}
		m.Destination.Weight, m.InTable = 0, m.InTable && vs.Quiesces()
	}
}
