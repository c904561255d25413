// Package histogram counts durations in fixed buckets, without allocations and locks.
package histogram

import "time"

// Bounds are the upper bounds of the buckets, all but the last, which has none.
var Bounds = [...]time.Duration{
	100 * time.Microsecond, 200 * time.Microsecond, 500 * time.Microsecond,
	time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond,
	10 * time.Millisecond, 20 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second,
}

// Histogram is a number of durations by bucket. It belongs to one goroutine; others get copies.
type Histogram struct {
	Counts [len(Bounds) + 1]uint64 `json:"counts"`
	Sum    time.Duration           `json:"sum"`
}

// Add counts a duration; a negative one as zero.
func (h *Histogram) Add(d time.Duration) {
	i := 0
	for i < len(Bounds) && d > Bounds[i] {
		i++
	}
	h.Counts[i]++
	h.Sum += max(d, 0)
}
