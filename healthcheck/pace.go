package healthcheck

import (
	"math/rand/v2"
	"time"
)

// The pace of checks.
const (
	// A scheduler that has started checks sleeps for at least a batch: checks that become due in that time start
	// together. Waking up for each of thousands of checks costs a third more CPU. A batch grows with the number of targets,
	// up to a batchPart of the shortest interval and to maxBatch.
	batchPerTarget = 10 * time.Microsecond
	batchPart      = 40
	maxBatch       = 50 * time.Millisecond

	// Many first checks are spread over firstWindow or their interval, few over firstGap each.
	firstWindow = time.Second
	firstGap    = time.Millisecond

	// jitter is the part of an interval by which a check may start before it is over, at random, so that checks that
	// once coincided do not coincide forever.
	jitter = 0.05

	// overrun is how long after its timeout a probe may take to end before its target is judged without it.
	overrun = time.Second

	// stallAtLeast is how late the scheduler itself must be for a stall.
	stallAtLeast = 100 * time.Millisecond

	// warnPause is the time between two warnings of the same kind.
	warnPause = time.Minute

	// minInterval limits the load of a spec that was not validated.
	minInterval = 10 * time.Millisecond
)

// spread returns the start, from now, of the i-th of n first checks.
func spread(i, n int, interval time.Duration) time.Duration {
	window := min(interval, firstWindow, time.Duration(n)*firstGap)
	return window / time.Duration(n) * time.Duration(i)
}

// pause returns the time from one start of a check to the next one. After the first check it is a random part of the
// interval, which spreads evenly what began in a short time.
func pause(interval time.Duration, first bool) time.Duration {
	if first {
		return interval - rand.N(interval)
	}
	return interval - rand.N(max(1, time.Duration(float64(interval)*jitter)))
}
