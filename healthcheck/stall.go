package healthcheck

import (
	"context"
	"errors"
	"time"
)

// stalls notices that this machine stood still: starved of CPU, paused, or moved to another host. Checks that time out
// meanwhile say nothing about their servers. Times are since the scheduler's beginning.
type stalls struct {
	planned time.Duration // something was to happen by then; 0: nothing
	until   time.Duration // end of the last stall
	count   uint64
}

// notice compares the time with the plan, and returns how long the stall was if there was one.
func (s *stalls) notice(now time.Duration) time.Duration {
	late := now - s.planned
	if s.planned == 0 || late < stallAtLeast {
		return 0
	}
	if s.until < s.planned {
		s.count++
	}
	s.until = now
	return late
}

// excuses reports whether a check's result is to be passed over, since the check timed out and there was a stall while
// it was in flight. It never passes over two results of a target in a row, so that even a machine that is always short
// of CPU takes dead servers out.
func (s *stalls) excuses(f flight, r Result) bool {
	timeout := !r.OK && errors.Is(f.ctx.Err(), context.DeadlineExceeded)
	return timeout && !f.excused && s.until > f.started
}
