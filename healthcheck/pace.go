package healthcheck

import (
	"math/rand/v2"
	"time"
)

// Timing of checks.
const (
	// A scheduler that has started checks sleeps for at least a batch: checks that become due in that time start
	// together. Waking up for each of thousands of checks uses a third more CPU. A batch grows with the number of targets,
	// up to a batchPart of the shortest interval and up to maxBatch.
	batchPerTarget = 10 * time.Microsecond
	batchPart      = 40
	maxBatch       = 50 * time.Millisecond

	// Many first checks are spread over firstWindow or their interval, a few over firstGap each. All have a result within a
	// second of the start.
	firstWindow = 750 * time.Millisecond
	firstGap    = time.Millisecond

	// jitter is, where the spec has no other, the fraction of an interval by which a check may randomly start early, so that checks do not stay
	// synchronized.
	jitter = 0.05

	// overrun is how long a probe may run after its timeout before its target gets a bad result.
	overrun = time.Second

	// stallAtLeast is the delay of the scheduler that counts as a stall.
	stallAtLeast = 100 * time.Millisecond

	// warnPause is the minimum time between two warnings of the same kind.
	warnPause = time.Minute

	// minInterval limits the load of a spec that has not been validated.
	minInterval = 10 * time.Millisecond
)

// spread returns the delay of the i-th of n first checks.
func spread(i, n int, interval time.Duration) time.Duration {
	window := min(interval, firstWindow, time.Duration(n)*firstGap)
	return window / time.Duration(n) * time.Duration(i)
}

// pause returns the time between the starts of two checks. After the first check it is a random part of the interval, which
// spreads checks that started within a short time.
func pause(interval, early time.Duration, first bool) time.Duration {
	if first {
		return interval - rand.N(interval)
	}
	if early <= 0 {
		early = time.Duration(float64(interval) * jitter)
	}
	return interval - rand.N(max(1, min(early, interval)))
}
