package healthcheck

import (
	"context"
	"errors"
	"time"
)

// stalls detects that the scheduler did not run: the host was short of CPU, paused, or moved to another machine. Checks
// that time out during a stall say nothing about their servers. Times are since the scheduler started.
type stalls struct {
	planned time.Duration // planned wake-up; 0 if none
	until   time.Duration // end of the last stall
	count   uint64
}

// notice compares the time with the planned wake-up, and returns the length of the stall, if any.
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

// ignores reports whether a check's result is ignored because the check timed out and a stall occurred while it was in
// flight. It never ignores two results of a target in a row, so that dead servers are removed even on a host that is
// always short of CPU.
func (s *stalls) ignores(f flight, r Result) bool {
	timeout := !r.OK && errors.Is(f.ctx.Err(), context.DeadlineExceeded)
	return timeout && !f.excused && s.until > f.started
}
