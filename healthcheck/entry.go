package healthcheck

import (
	"context"
	"time"
)

// entry is a target in a scheduler. The scheduler's lock guards it.
type entry struct {
	key    string
	target Target
	probe  Probe
	health Health

	due   time.Time // of the next start, or, while a check is in flight, of giving it up for stuck
	index int       // in the timers; -1: not there

	life    int // incremented when a removed target comes back while its check is in flight
	started time.Time
	late    time.Duration // of the start
	cancel  context.CancelFunc

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

// next is the time of the next start, after a check that started at e.started.
func (e *entry) next(now time.Time) time.Time {
	at := e.started.Add(pause(e.interval(), !e.probed))
	e.probed = true
	return later(at, now)
}

func (e *entry) status() Status {
	return Status{Key: e.key, Target: e.target, Health: e.health}
}

// judge takes one more result into account.
func (e *entry) judge(r Result, now time.Time) Event {
	before := e.health.State
	e.health = Judge(e.health, r, e.target.Spec.Rise, e.target.Spec.Fall, now)
	return Event{
		Status:  e.status(),
		Result:  r,
		Changed: e.health.State != before,
		Took:    now.Sub(e.started),
		Late:    e.late,
	}
}
