package director

import (
	"context"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/events"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// handOver is the hand-over of an instance that was master when its failover was requested. It continues if the request that
// started it has ended.
type handOver struct {
	began  time.Time
	left   bool          // observed leaving, so that its outcome belongs to this failover even if the wall clock was set
	done   chan struct{} // closed when result is set
	result api.FailoverOf
}

func newHandOver(began time.Time, s vrrp.State) *handOver {
	return &handOver{began: began, done: make(chan struct{}), result: api.FailoverOf{State: s}}
}

// followHandOver takes the status of an instance. It cancels a failover if no other router took over: a node without peers
// should not have the lowest priority. It reports whether the speaker must be updated.
func (d *Director) followHandOver(name string, s vrrp.Status) (cancelled bool) {
	h := d.handOvers[name]
	if h == nil {
		return false
	}
	h.left = h.left || s.State == vrrp.Leaving
	h.result.State, h.result.MasterAddress = s.State, s.MasterAddress
	switch {
	case s.State == vrrp.Backup && s.MasterAddress != "":
		d.handedOver(name, api.FailoverDone)
	case s.State == vrrp.Initialize:
		d.handedOver(name, api.FailoverNoNeed)
	case s.State == vrrp.Master && s.Reason == string(vrrp.ReasonNobodyTookOver) && (h.left || s.Since.After(h.began)):
		d.Logger.Warn("failover cancelled: no other router took over", "instance", name)
		d.events.Add(events.Event{Time: time.Now(), Kind: events.Failover, Subject: name, To: "cancelled", Reason: "no other router took over"})
		d.endFailover(name, api.FailoverNobody)
		d.saveFailovers()
		return true
	}
	return false
}

// handedOver completes a hand-over; the failover remains in force.
func (d *Director) handedOver(name string, outcome api.FailoverOutcome) {
	f := d.failovers[name]
	f.Handing = false
	d.failovers[name] = f
	d.endHandOver(name, outcome)
	d.saveFailovers()
}

func (d *Director) endHandOver(name string, outcome api.FailoverOutcome) {
	h := d.handOvers[name]
	if h == nil {
		return
	}
	delete(d.handOvers, name)
	h.result.Outcome = outcome
	if outcome == api.FailoverDone || outcome == api.FailoverNobody {
		h.result.Took = api.Duration(time.Since(h.began))
	}
	close(h.done)
}

// awaitSuccessor waits for the outcome of a hand-over. If ctx ends first, the outcome is "waiting".
func (d *Director) awaitSuccessor(ctx context.Context, h *handOver, out *api.FailoverOf) {
	select {
	case <-h.done:
		out.Outcome, out.Took = h.result.Outcome, h.result.Took
		if !out.Outcome.OK() {
			out.Until = time.Time{}
		}
	case <-ctx.Done():
	}
	brief, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = d.view(brief, func() { out.State, out.MasterAddress = h.result.State, h.result.MasterAddress })
}
