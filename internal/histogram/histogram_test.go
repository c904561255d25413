package histogram

import (
	"slices"
	"testing"
	"time"
)

func TestAdd(t *testing.T) {
	if !slices.IsSorted(Bounds[:]) {
		t.Fatal("the bounds are not sorted")
	}
	var h Histogram
	var want [len(Bounds) + 1]uint64
	for i, bound := range Bounds {
		h.Add(bound) // a bound belongs to its bucket
		h.Add(bound + 1)
		want[i]++
		want[i+1]++
	}
	h.Add(-time.Second)
	want[0]++
	var sum time.Duration
	for _, bound := range Bounds {
		sum += 2*bound + 1
	}
	if h.Counts != want || h.Sum != sum {
		t.Errorf("got %v, %v; want %v, %v", h.Counts, h.Sum, want, sum)
	}
	if n := testing.AllocsPerRun(100, func() { h.Add(time.Millisecond) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkAdd(b *testing.B) {
	var h Histogram
	for b.Loop() {
		h.Add(30 * time.Microsecond)
	}
}
