package ahead

import (
	"runtime"
	"sync/atomic"
	"testing"
)

// TestEach: values arrive in order, none is overwritten while it is used, and nothing runs when the reader has stopped.
func TestEach(t *testing.T) {
	for _, tt := range []struct{ workers, n, stop int }{{1, 5, 5}, {2, 5, 5}, {3, 100, 100}, {8, 3, 3}, {4, 100, 7}, {4, 100, 0}, {2, 0, 0}} {
		var overwritten atomic.Bool
		using := make([]atomic.Int64, 64)
		var memories atomic.Int64
		compute := func() func(int) *int {
			memory, id := new(int), memories.Add(1)
			return func(i int) *int {
				if used := using[id].Load(); used != 0 {
					overwritten.Store(true)
				}
				*memory = i<<8 | int(id)
				return memory
			}
		}
		next := 0
		Each(tt.workers, tt.n, compute, func(value *int) bool {
			i, id := *value>>8, *value&0xff
			using[id].Add(1)
			defer using[id].Add(-1)
			if i != next {
				t.Errorf("%+v: %d instead of %d", tt, i, next)
			}
			next++
			for range 10 {
				runtime.Gosched()
			}
			return next < tt.stop
		})
		if overwritten.Load() || next != min(max(tt.stop, 1), tt.n) {
			t.Errorf("%+v: stopped at %d, overwritten: %t", tt, next, overwritten.Load())
		}
	}
}
