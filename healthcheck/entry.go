package healthcheck

import "time"

// entry is a target in a scheduler, guarded by the scheduler's lock. Times are relative to the scheduler's start.
type entry struct {
	key    string
	target Target
	probe  Probe
	quick  *quick // nil: the check needs a goroutine
	health Health
	file   string // that is watched; "": none
	count  *KindFigures

	due     time.Duration // next start
	started time.Duration // last start
	late    time.Duration // of the last start
	ctx     *deadline     // of the check in progress
	index   int           // in the timers; -1 if absent
	life    int           // incremented when a removed target is added again during its check

	inFlight bool
	slow     bool // the check that waits or is in progress needs a goroutine
	stuck    bool // still running long after its timeout
	probed   bool // at least once in this life
	excused  bool // its last result was ignored
	removed  bool
}

func (e *entry) interval() time.Duration { return max(e.target.Spec.Interval, minInterval) }

// retry is the interval while the state is in doubt.
func (e *entry) retry() time.Duration {
	if e.target.Spec.Retry <= 0 {
		return e.interval()
	}
	return max(e.target.Spec.Retry, minInterval)
}

// inDoubt reports whether the last results contradict the state, but are too few to change it.
func (e *entry) inDoubt() bool {
	return e.health.State == Up && e.health.Bad > 0 || e.health.State == Down && e.health.Good > 0
}

func (e *entry) timeout() time.Duration {
	if e.target.Spec.Timeout <= 0 {
		return e.interval()
	}
	return e.target.Spec.Timeout
}

// begin records the start of a check.
func (e *entry) begin(now time.Duration) {
	e.inFlight, e.started, e.late = true, now, now-e.due
	e.due = now + pause(e.interval(), e.target.Spec.Jitter, !e.probed)
	e.probed = true
}

func (e *entry) status() Status {
	return Status{Key: e.key, Target: e.target, Health: e.health}
}

// record applies one more result.
func (e *entry) record(r Result, took time.Duration) Event {
	before, last := e.health.State, e.health.Checked
	advice := e.health.Advice
	if r.Complete {
		advice = Advice{Unit: advice.Unit, Number: advice.Number} // to move from
		if r.Advice.Unit == "" {
			advice = Advice{}
		}
	}
	e.health = Judge(e.health, r, e.target.Spec.Rise, e.target.Spec.Fall, time.Now())
	if !r.Local {
		e.health.Advice = e.target.Spec.Weight.follow(advice, r.Advice, e.health.Checked.Sub(last))
	}
	return Event{Status: e.status(), Result: r, Changed: e.health.State != before, Took: took, Late: e.late}
}
