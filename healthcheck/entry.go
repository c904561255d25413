package healthcheck

import "time"

// entry is a target in a scheduler, whose lock guards it. Times are since the scheduler's beginning.
type entry struct {
	key    string
	target Target
	probe  Probe
	health Health

	due     time.Duration // next start
	started time.Duration // last start
	late    time.Duration // of the last start
	ctx     *deadline     // of the check in flight
	index   int           // in the timers; -1: not there
	life    int           // incremented when a removed target comes back while its check is in flight

	inFlight bool
	stuck    bool // in flight long past its timeout
	probed   bool // at least once in this life
	excused  bool // its last result was passed over
	removed  bool
}

func (e *entry) interval() time.Duration { return max(e.target.Spec.Interval, minInterval) }

func (e *entry) timeout() time.Duration {
	if e.target.Spec.Timeout <= 0 {
		return e.interval()
	}
	return e.target.Spec.Timeout
}

// begin notes the start of a check.
func (e *entry) begin(now time.Duration) {
	e.inFlight, e.started, e.late = true, now, now-e.due
	e.due = now + pause(e.interval(), !e.probed)
	e.probed = true
}

func (e *entry) status() Status {
	return Status{Key: e.key, Target: e.target, Health: e.health}
}

// judge takes one more result into account.
func (e *entry) judge(r Result, took time.Duration) Event {
	before := e.health.State
	e.health = Judge(e.health, r, e.target.Spec.Rise, e.target.Spec.Fall, time.Now())
	return Event{Status: e.status(), Result: r, Changed: e.health.State != before, Took: took, Late: e.late}
}
