package healthcheck

import (
	"context"
	"time"
)

// turn is held by at most one check of this process at a time: one that matches a large body or verifies a long chain of
// certificates. Before the holder releases the turn, it sleeps as long as it has worked, so that all of these checks
// together use at most half a CPU, and other checks are not delayed even with one CPU.
type turn chan struct{}

var longWork = make(turn, 1)

// errLongWork is the error of a check that waited for the turn most of the time before its timeout.
var errLongWork = shortage("other checks' bodies and certificates take too long; write simpler regular expressions, or check smaller pages")

const maxRest = 10 * time.Millisecond

// take waits for the turn.
func (t turn) take(ctx context.Context) error {
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t turn) pass() { <-t }

// rest pauses the holder after it has worked.
func (t turn) rest(worked time.Duration) { time.Sleep(min(worked, maxRest)) }
