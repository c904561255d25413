package loglimit

import "testing"

// TestCausesBeyondLimitAreCountedTogether checks that causes beyond causesKept are counted together.
func TestCausesBeyondLimitAreCountedTogether(t *testing.T) {
	if got := most(map[string]uint64{"": 7, "health": 3}); got != "7 × from other causes; 3 × health" {
		t.Errorf("got %q", got)
	}
}
