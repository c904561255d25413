package pool

import (
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/healthcheck"
)

// Override is an operator's order for one server. It is in force until it is removed from the inputs.
type Override struct {
	Action   OverrideAction `json:"action"`
	Weight   uint32         `json:"weight,omitempty"`  // with OverrideWeight
	Deadline time.Time      `json:"deadline,omitzero"` // with OverrideDrain: the server is removed at this time; zero means never
}

// OverrideAction is the kind of an override.
type OverrideAction string

// The actions.
const (
	OverrideDrain   OverrideAction = "drain"   // weight 0: the server keeps its connections
	OverrideDisable OverrideAction = "disable" // removed from the table
	OverrideWeight  OverrideAction = "weight"  // another weight than the configured one
)

// removes reports whether the server must not be in the table.
func (o Override) removes(now time.Time) bool {
	return o.Action == OverrideDisable || o.Action == OverrideDrain && !o.Deadline.IsZero() && !now.Before(o.Deadline)
}

// baseWeight returns the weight of a server that passes its checks.
func (in *Inputs) baseWeight(vs *config.VirtualService, rs *config.RealServer) uint32 {
	o, ordered := in.Overrides[Server{vs.ServiceKey, rs.DestinationKey}]
	switch {
	case !rs.Unlisted.IsZero():
		return 0
	case !ordered:
		return rs.Weight
	case o.Action == OverrideWeight:
		return o.Weight
	}
	return 0
}

// obeyOverride applies a server's override to what its checks say.
func (in *Inputs) obeyOverride(m *Member, vs *config.VirtualService) {
	o, ordered := in.Overrides[Server{vs.ServiceKey, m.Destination.DestinationKey}]
	switch {
	case !ordered:
	case o.removes(in.Now):
		m.InTable, m.Destination.Weight, m.Reason = false, 0, Disabled
	case o.Action == OverrideDrain && m.InTable && m.State != healthcheck.Down:
		m.Destination.Weight, m.Reason = 0, Drained
	case o.Action == OverrideWeight && (m.State == healthcheck.Up && m.Reason != Draining && m.Reason != InMaintenance || m.Destination.Weight > 0):
		m.Destination.Weight = o.Weight
	}
}

// outOfService reports whether an operator has drained or disabled a server.
func (in *Inputs) outOfService(vs *config.VirtualService, m Member) bool {
	o, ordered := in.Overrides[Server{vs.ServiceKey, m.Destination.DestinationKey}]
	return ordered && o.Action != OverrideWeight
}
