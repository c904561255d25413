package healthcheck

import "container/heap"

// timers is a heap of entries, the one that is due first on top.
type timers []*entry

// set puts an entry that is in the heap or not to the place that its due time asks for.
func (h *timers) set(e *entry) {
	if e.index < 0 {
		heap.Push(h, e)
	} else {
		heap.Fix(h, e.index)
	}
}

// remove takes an entry out, if it is in the heap.
func (h *timers) remove(e *entry) {
	if e.index >= 0 {
		heap.Remove(h, e.index)
	}
}

func (h timers) Len() int           { return len(h) }
func (h timers) Less(i, j int) bool { return h[i].due.Before(h[j].due) }

func (h timers) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push implements heap.Interface.
func (h *timers) Push(x any) {
	e := x.(*entry)
	e.index = len(*h)
	*h = append(*h, e)
}

// Pop implements heap.Interface.
func (h *timers) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	e.index = -1
	return e
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
