package api

import (
	"context"
	"net/http"
	"time"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// FailoverRequest asks a director to hand instances over, or to end that.
type FailoverRequest struct {
	Instances []string `json:"instances,omitempty"` // names, or patterns as of path.Match; none: all
	For       Duration `json:"for,omitempty"`       // how long the instances stay away; 0: until they are undone
	Undo      bool     `json:"undo,omitempty"`
}

// Failover is what a request has led to.
type Failover struct {
	Instances []FailoverOf `json:"instances"`
}

// FailoverOf is the outcome for one instance.
type FailoverOf struct {
	Name          string          `json:"name"`
	Outcome       FailoverOutcome `json:"outcome"`
	State         vrrp.State      `json:"state"`
	MasterAddress string          `json:"master_address,omitempty"`
	Took          Duration        `json:"took,omitempty"` // until the new master was heard
	Until         time.Time       `json:"until,omitzero"`
}

// FailoverOutcome says how a request ended.
type FailoverOutcome string

// The outcomes.
const (
	FailoverDone    FailoverOutcome = "handed-over"  // another router is master now
	FailoverNoNeed  FailoverOutcome = "not-master"   // it was not master; it has priority 1 now
	FailoverNobody  FailoverOutcome = "no-successor" // no other router took over; the request is cancelled
	FailoverWaiting FailoverOutcome = "waiting"      // the time for the request is over before the outcome is known
	FailoverEnded   FailoverOutcome = "ended"        // before its outcome: it was undone, its time was over, or the instance was removed
	FailoverUndone  FailoverOutcome = "undone"
	FailoverNone    FailoverOutcome = "none" // there was no failover to undo
)

// OK reports whether the instance is where the request wants it.
func (o FailoverOutcome) OK() bool {
	return o != FailoverNobody && o != FailoverWaiting && o != FailoverEnded
}

// Failover hands instances over, and returns when their new masters are heard.
func (c *Client) Failover(ctx context.Context, request FailoverRequest) (Failover, error) {
	var f Failover
	return f, c.do(ctx, http.MethodPost, "/v1/failover", request, &f)
}
