package healthcheck

import (
	"context"
	"time"
)

// turn is held by the one check of this process that works long: that matches a large body, or verifies a long chain
// of certificates. It rests as long as it worked before it passes the turn on, so that all of them together take half a
// CPU at most, and other checks come first even with one CPU.
type turn chan struct{}

var longWork = make(turn, 1)

// errLongWork is of a check that hardly had the turn before its timeout.
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

// rest is for the holder, after it worked for so long.
func (t turn) rest(worked time.Duration) { time.Sleep(min(worked, maxRest)) }
