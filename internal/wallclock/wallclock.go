// Package wallclock keeps the age of a moment right when the system clock is set after it. A time.Time has a monotonic
// reading, which ages are computed from, next to the wall clock; other processes receive only the wall clock.
package wallclock

import "time"

// Export returns a moment for other processes: when it was by the current wall clock.
func Export(moment, now time.Time) time.Time {
	if moment.IsZero() {
		return moment
	}
	by := now.Add(moment.Sub(now))
	// The two clocks are not read at the same instant. Unless the clock was set, the result must not vary.
	if by.Round(0).Sub(moment.Round(0)).Abs() < time.Second {
		return moment
	}
	return by
}

// Import returns a moment that another process has just exported with a monotonic reading, so that its age is right from
// now on.
func Import(moment, now time.Time) time.Time {
	if moment.IsZero() {
		return moment
	}
	return now.Add(moment.Sub(now))
}
