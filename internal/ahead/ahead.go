// Package ahead computes values on all CPUs while earlier ones are used.
package ahead

import "sync"

// Each yields the values for 0 to n-1 in order. Each of the workers, in a goroutine of its own, computes every workers-th one while
// others are used. compute returns a function with memory of its own for one value, which its next call overwrites.
func Each[T any](workers, n int, compute func() func(i int) T, yield func(T) bool) {
	stopped := make(chan struct{})
	var running sync.WaitGroup
	defer running.Wait()
	defer close(stopped)
	values := make([]chan T, min(workers, n))
	for w := range values {
		values[w] = make(chan T)
		running.Go(func() {
			// A value is no longer in use when the worker's next one is accepted.
			turns := [2]func(int) T{compute(), compute()}
			for i := w; i < n; i += len(values) {
				value := turns[0](i)
				select {
				case values[w] <- value:
				case <-stopped:
					return
				}
				turns[0], turns[1] = turns[1], turns[0]
			}
		})
	}
	for i := range n {
		if !yield(<-values[i%len(values)]) {
			return
		}
	}
}
