package api

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"time"
)

// OverrideAction is what an operator orders for a real server.
type OverrideAction string

// The actions.
const (
	OverrideDrain   OverrideAction = "drain"   // no new connections
	OverrideDisable OverrideAction = "disable" // removed from the kernel's table
	OverrideWeight  OverrideAction = "weight"  // another weight than the configured one
	OverrideEnable  OverrideAction = "enable"  // ends the others
)

// OverrideRequest gives or ends orders for real servers.
type OverrideRequest struct {
	Action   OverrideAction `json:"action"`
	Servers  []string       `json:"servers"` // SERVICE/SERVER, both names or patterns of path.Match
	Weight   uint32         `json:"weight,omitempty"`
	For      Duration       `json:"for,omitempty"`      // how long; 0 means until it is ended
	Deadline Duration       `json:"deadline,omitempty"` // of a drain: then the server is removed; 0 means never
	Reason   string         `json:"reason,omitempty"`   // at most 200 bytes
	Keep     bool           `json:"keep,omitempty"`     // across a restart of lvs-ha

	By string `json:"-"` // the caller, from its credentials
}

// maxReason is the maximum length of a reason in bytes.
const maxReason = 200

// Check returns what is wrong with a request.
func (r OverrideRequest) Check() error {
	switch {
	case len(r.Servers) == 0:
		return errors.New(`"servers" is empty`)
	case r.Action != OverrideDrain && r.Action != OverrideDisable && r.Action != OverrideWeight && r.Action != OverrideEnable:
		return fmt.Errorf("there is no action %.50q", r.Action)
	case r.For < 0 || r.Deadline < 0:
		return errors.New("a time must be positive")
	case r.Action == OverrideEnable && (r.For > 0 || r.Keep || r.Reason != ""):
		return errors.New(`"for", "keep" and "reason" have no meaning with "enable"`)
	case r.Deadline > 0 && r.Action != OverrideDrain:
		return errors.New(`a "deadline" is only for "drain"`)
	case r.Weight > 0 && r.Action != OverrideWeight, r.Weight > math.MaxInt32:
		return fmt.Errorf(`"weight" is only for the action "weight", from 0 to %d`, math.MaxInt32)
	case len(r.Reason) > maxReason:
		return fmt.Errorf("the reason has %d bytes, at most %d are allowed", len(r.Reason), maxReason)
	}
	return nil
}

// Overridden is the result of a request.
type Overridden struct {
	Servers []OverriddenServer `json:"servers"`
}

// OverriddenServer is the result for one server.
type OverriddenServer struct {
	Service string          `json:"service"`
	Server  ServerKey       `json:"server"`
	Outcome OverrideOutcome `json:"outcome"`
	Until   time.Time       `json:"until,omitzero"`
}

// OverrideOutcome is how a request ended for a server.
type OverrideOutcome string

// The outcomes.
const (
	OverrideInForce OverrideOutcome = "in-force"
	OverrideEnded   OverrideOutcome = "ended"
	OverrideNone    OverrideOutcome = "none" // there was nothing to end
)

// Override is an order in force.
type Override struct {
	Action   OverrideAction `json:"action"`
	Weight   uint32         `json:"weight,omitempty"`
	Since    time.Time      `json:"since"`
	Until    time.Time      `json:"until,omitzero"`
	Deadline time.Time      `json:"deadline,omitzero"`
	By       string         `json:"by,omitempty"`
	Reason   string         `json:"reason,omitempty"`
	Keep     bool           `json:"keep,omitempty"`
}

// Override gives or ends orders for real servers, and returns when the kernel's table follows them.
func (c *Client) Override(ctx context.Context, request OverrideRequest) (Overridden, error) {
	var o Overridden
	return o, c.do(ctx, http.MethodPost, "/v1/override", request, &o)
}
