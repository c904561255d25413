package healthcheck

import "time"

// timers is a binary heap of entries by the time at which they are due. The times lie in the heap itself: reading them
// from the entries, which are all over the memory, would cost more than all else that the scheduler does for a check.
type timers []timer

type timer struct {
	due time.Duration // since the scheduler's beginning
	*entry
}

// set puts an entry, in the heap already or not, to a time.
func (h *timers) set(e *entry, due time.Duration) {
	if e.index < 0 {
		e.index = len(*h)
		*h = append(*h, timer{})
	}
	h.settle(e.index, timer{due, e})
}

// remove takes an entry out, if it is in the heap.
func (h *timers) remove(e *entry) {
	if e.index < 0 {
		return
	}
	end := len(*h) - 1
	last := (*h)[end]
	(*h)[end] = timer{}
	*h = (*h)[:end]
	if last.entry != e {
		h.settle(e.index, last)
	}
	e.index = -1
}

// settle puts t where it belongs, given that the place i is free.
func (h timers) settle(i int, t timer) {
	for i > 0 && t.due < h[(i-1)/2].due {
		i = h.move((i-1)/2, i)
	}
	for {
		child := 2*i + 1
		if child+1 < len(h) && h[child+1].due < h[child].due {
			child++
		}
		if child >= len(h) || t.due <= h[child].due {
			break
		}
		i = h.move(child, i)
	}
	h[i] = t
	t.index = i
}

// move moves what is at a place to another one, and returns the place that is free now.
func (h timers) move(from, to int) int {
	h[to] = h[from]
	h[to].index = to
	return from
}

// queue holds entries that are due and wait for a free slot, first come, first served.
type queue struct {
	entries []*entry
	head    int
}

func (q *queue) len() int { return len(q.entries) - q.head }

func (q *queue) push(e *entry) { q.entries = append(q.entries, e) }

// first is the entry that has waited longest, or nil. Entries that were removed meanwhile are left out.
func (q *queue) first() *entry {
	for q.len() > 0 {
		if e := q.entries[q.head]; !e.removed {
			return e
		}
		q.drop()
	}
	return nil
}

// drop takes the first entry out.
func (q *queue) drop() {
	q.entries[q.head] = nil
	q.head++
	if q.head == len(q.entries) {
		q.entries, q.head = q.entries[:0], 0
	} else if q.head >= 1024 && q.head > len(q.entries)/2 {
		q.entries, q.head = append(q.entries[:0], q.entries[q.head:]...), 0
	}
}
