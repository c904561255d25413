package director

import (
	"errors"
	"maps"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/ipvsnl"
	"github.com/lvs-ha/lvs-ha/ipvs"
)

// The parts of the kernel's state, which are reconciled separately.
const (
	partTable    = "ipvs"
	partTimeouts = "timeouts"
	partSync     = "connection-sync"
	partSysctls  = "sysctl"
)

// A failed part is retried after a pause that doubles up to the repair interval. A transient error resolves itself soon; a
// refusal, for example because of a missing module, requires an operator.
const (
	firstRetry        = 10 * time.Millisecond
	firstRetryRefused = time.Second

	// lasting is the pause from which a transient error is reported as a problem.
	lasting = 100 * time.Millisecond
)

// retries are the failed parts, with the remaining work of each.
type retries struct {
	parts map[string]*retry
	timer *time.Timer
}

type retry struct {
	due  touched
	wait time.Duration
	at   time.Time // zero during a retry
}

func newRetries() retries {
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	return retries{parts: map[string]*retry{}, timer: timer}
}

// failed schedules the next try of a part's remaining work, after at most the given pause.
func (r *retries) failed(part string, left touched, err error, now time.Time, most time.Duration) {
	p := r.parts[part]
	if p == nil {
		p = &retry{}
		r.parts[part] = p
	}
	p.due = left
	if p.at.IsZero() { // otherwise an event preceded the due retry
		p.wait *= 2
		if least := firstWait(err); p.wait < least {
			p.wait = least
		}
		p.wait = min(p.wait, most)
		p.at = now.Add(p.wait)
	}
	r.arm(now)
}

func firstWait(err error) time.Duration {
	if isTransient(err) {
		return firstRetry
	}
	return firstRetryRefused
}

// isTransient reports whether an immediate retry is likely to succeed.
func isTransient(err error) bool { return ipvsnl.IsTransient(err) || ipvs.IsDrift(err) }

// take returns the due work.
func (r *retries) take(now time.Time) touched {
	var due touched
	for _, p := range r.parts {
		if !p.at.IsZero() && !p.at.After(now) {
			due.add(p.due)
			p.at = time.Time{}
		}
	}
	r.arm(now)
	return due
}

func (r *retries) arm(now time.Time) {
	var next time.Time
	for _, p := range r.parts {
		if !p.at.IsZero() && (next.IsZero() || p.at.Before(next)) {
			next = p.at
		}
	}
	if next.IsZero() {
		r.timer.Stop()
		return
	}
	r.timer.Reset(next.Sub(now))
}

// recordResult records the result of reconciling due of a part. Failures of other services of the part stay.
func (d *Director) recordResult(part string, due touched, err error) {
	left := touched{}
	if p := d.retries.parts[part]; p != nil && part == partTable && !due.all {
		left = p.due
		left.keys = maps.Clone(left.keys)
		for k := range due.keys {
			delete(left.keys, k)
		}
	}
	if err != nil {
		left.add(failedOf(due, err))
	}
	if left.empty() {
		delete(d.retries.parts, part)
		d.problems.set(part, nil)
		return
	}
	if err == nil {
		return
	}
	d.retries.failed(part, left, err, time.Now(), d.cfg.Director.Repair)
	if wait := d.retries.parts[part].wait; isTransient(err) && wait < lasting {
		d.Logger.Warn("kernel update failed; retrying", "what", part, "in", wait.String(), "error", err)
		return
	}
	d.problems.set(part, err)
}

// failedOf returns the part of due to retry: the services whose steps failed, or all of it.
func failedOf(due touched, err error) touched {
	failed := touched{keys: map[ipvs.ServiceKey]struct{}{}}
	if !failed.steps(err) {
		return due
	}
	return failed
}

// steps adds the services whose steps failed, and reports whether err has no other causes.
func (t *touched) steps(err error) bool {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			if !t.steps(e) {
				return false
			}
		}
		return true
	}
	step, ok := errors.AsType[*ipvs.StepError](err)
	if ok {
		t.keys[step.Step.Service.ServiceKey] = struct{}{}
	}
	return ok
}
