package api

import (
	"context"
	"net/http"
	"time"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// FailoverRequest asks a director to hand instances over, or to cancel that.
type FailoverRequest struct {
	Instances []string `json:"instances,omitempty"` // names, or patterns of path.Match; empty means all
	For       Duration `json:"for,omitempty"`       // how long the instances stay away; 0 means until undone
	Undo      bool     `json:"undo,omitempty"`
	By        string   `json:"-"` // the caller
}

// Failover is the result of a request.
type Failover struct {
	Instances []FailoverOf `json:"instances"`
}

// FailoverOf is the result for one instance.
type FailoverOf struct {
	Name          string          `json:"name"`
	Outcome       FailoverOutcome `json:"outcome"`
	State         vrrp.State      `json:"state"`
	MasterAddress string          `json:"master_address,omitempty"`
	Took          Duration        `json:"took,omitempty"` // time until the new master's first advert
	Until         time.Time       `json:"until,omitzero"`
}

// FailoverOutcome is how a request ended.
type FailoverOutcome string

// The outcomes.
const (
	FailoverDone    FailoverOutcome = "handed-over"  // another router is now master
	FailoverNoNeed  FailoverOutcome = "not-master"   // it was not master; it now has priority 1
	FailoverNobody  FailoverOutcome = "no-successor" // no other router took over; the request is cancelled
	FailoverWaiting FailoverOutcome = "waiting"      // the request timed out before the outcome was known
	FailoverEnded   FailoverOutcome = "ended"        // ended before its outcome: undone, expired, or the instance was removed
	FailoverUndone  FailoverOutcome = "undone"
	FailoverNone    FailoverOutcome = "none" // there was no failover to undo
)

// OK reports whether the request has been fulfilled.
func (o FailoverOutcome) OK() bool {
	return o != FailoverNobody && o != FailoverWaiting && o != FailoverEnded
}

// Failover hands instances over, and returns when their new masters have sent adverts.
func (c *Client) Failover(ctx context.Context, request FailoverRequest) (Failover, error) {
	var f Failover
	return f, c.do(ctx, http.MethodPost, "/v1/failover", request, &f)
}
