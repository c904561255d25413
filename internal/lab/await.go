package lab

import (
	"context"
	"fmt"
	"time"
)

// Await looks every 5 ms whether something is so, until it is or the context ends. It is for what sends no event.
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
