package healthcheck

import "time"

// timers is a binary heap of entries ordered by due time. The times are stored in the heap: reading them from the entries,
// which are spread over memory, would cost more than the rest of the scheduler's work for a check.
type timers []timer

type timer struct {
	due time.Duration // relative to the scheduler's start
	*entry
}

// set sets the time of an entry, which may be in the heap already.
func (h *timers) set(e *entry, due time.Duration) {
	if e.index < 0 {
		e.index = len(*h)
		*h = append(*h, timer{})
	}
	h.sift(e.index, timer{due, e})
}

// remove removes an entry, if it is in the heap.
func (h *timers) remove(e *entry) {
	if e.index < 0 {
		return
	}
	end := len(*h) - 1
	last := (*h)[end]
	(*h)[end] = timer{}
	*h = (*h)[:end]
	if last.entry != e {
		h.sift(e.index, last)
	}
	e.index = -1
}

// sift puts t in its position, given that position i is free.
func (h timers) sift(i int, t timer) {
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

// move moves the timer at one position to another, and returns the position that is now free.
func (h timers) move(from, to int) int {
	h[to] = h[from]
	h[to].index = to
	return from
}

// queue has the entries that are due and waiting for a free slot, in FIFO order.
type queue struct {
	entries []*entry
	head    int
}

func (q *queue) len() int { return len(q.entries) - q.head }

func (q *queue) push(e *entry) { q.entries = append(q.entries, e) }

// first returns the entry that has waited longest, or nil. It skips removed entries.
func (q *queue) first() *entry {
	for q.len() > 0 {
		if e := q.entries[q.head]; !e.removed {
			return e
		}
		q.drop()
	}
	return nil
}

// drop removes the first entry.
func (q *queue) drop() {
	q.entries[q.head] = nil
	q.head++
	if q.head == len(q.entries) {
		q.entries, q.head = q.entries[:0], 0
	} else if q.head >= 1024 && q.head > len(q.entries)/2 {
		q.entries, q.head = append(q.entries[:0], q.entries[q.head:]...), 0
	}
}
