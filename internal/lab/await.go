package lab

import (
	"context"
	"fmt"
	"time"
)

// Await polls a condition every 5 ms until it is true or the context ends. It is for conditions without events.
func Await(ctx context.Context, so func() bool) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("wait until it is so: %w", context.Cause(ctx))
		}
	}
	return nil
}
