// Package wallclock keeps the age of a moment right when somebody sets the machine's clock after it. A time of Go's has
// the monotonic clock beside the wall clock, which ages are reckoned by; other processes get to see the wall clock only.
package wallclock

import "time"

// Told is a moment for others: when it was by the clock as it is now.
func Told(moment, now time.Time) time.Time {
	if moment.IsZero() {
		return moment
	}
	by := now.Add(moment.Sub(now))
	// The two clocks are not read at the same instant: unless the clock was set, the moment shall not tremble.
	if by.Round(0).Sub(moment.Round(0)).Abs() < time.Second {
		return moment
	}
	return by
}

// Heard is a moment that another process has just told of, so that its age follows the monotonic clock from now on.
func Heard(moment, now time.Time) time.Time {
	if moment.IsZero() {
		return moment
	}
	return now.Add(moment.Sub(now))
}
