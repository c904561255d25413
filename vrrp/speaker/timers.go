package speaker

import (
	"container/heap"
	"time"
)

// timer calls fire on the loop's goroutine when its moment has come.
type timer struct {
	at       time.Time
	fire     func(now time.Time)
	position int // in the heap plus one; 0: not set
}

// timers is a heap of the timers that are set, the first on top.
type timers struct{ heap []*timer }

func (t *timers) set(x *timer, at time.Time) {
	switch {
	case x.position == 0:
		x.at = at
		heap.Push((*timerHeap)(t), x)
	case !x.at.Equal(at):
		x.at = at
		heap.Fix((*timerHeap)(t), x.position-1)
	}
}

func (t *timers) unset(x *timer) {
	if x.position != 0 {
		heap.Remove((*timerHeap)(t), x.position-1)
	}
}

// next is when the first timer is due; zero if none is set.
func (t *timers) next() time.Time {
	if len(t.heap) == 0 {
		return time.Time{}
	}
	return t.heap[0].at
}

// fire calls what is due. What a timer sets for the same moment waits for the next call, so that it ends.
func (t *timers) fire(now time.Time) {
	for range len(t.heap) {
		if len(t.heap) == 0 || t.heap[0].at.After(now) {
			return
		}
		x := t.heap[0]
		t.unset(x)
		x.fire(now)
	}
}

// timerHeap is heap.Interface for timers.
type timerHeap timers

func (h *timerHeap) Len() int           { return len(h.heap) }
func (h *timerHeap) Less(i, j int) bool { return h.heap[i].at.Before(h.heap[j].at) }

func (h *timerHeap) Swap(i, j int) {
	h.heap[i], h.heap[j] = h.heap[j], h.heap[i]
	h.heap[i].position, h.heap[j].position = i+1, j+1
}

func (h *timerHeap) Push(x any) {
	h.heap = append(h.heap, x.(*timer))
	x.(*timer).position = len(h.heap)
}

func (h *timerHeap) Pop() any {
	last := len(h.heap) - 1
	x := h.heap[last]
	h.heap[last] = nil
	h.heap = h.heap[:last]
	x.position = 0
	return x
}
