package healthcheck

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestTimers sets and removes entries at random and compares with a sorted list.
func TestTimers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var h timers
		entries := make([]entry, 20)
		model := map[*entry]time.Duration{}
		for i := range entries {
			entries[i].index = -1
		}
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			e := &entries[rapid.IntRange(0, len(entries)-1).Draw(t, "entry")]
			if rapid.IntRange(0, 3).Draw(t, "what") == 0 {
				h.remove(e)
				delete(model, e)
			} else {
				due := time.Duration(rapid.IntRange(0, 30).Draw(t, "due"))
				h.set(e, due)
				model[e] = due
			}
			if len(h) != len(model) {
				t.Fatalf("%d entries, want %d", len(h), len(model))
			}
			for i := range entries {
				e := &entries[i]
				due, in := model[e]
				if in != (e.index >= 0) || in && (h[e.index].entry != e || h[e.index].due != due) {
					t.Fatalf("entry %d is in: %v, at %d", i, in, e.index)
				}
			}
		}
		var order []time.Duration
		for len(h) > 0 {
			order = append(order, h[0].due)
			h.remove(h[0].entry)
		}
		if !slices.IsSorted(order) || len(order) != len(model) {
			t.Fatalf("the order is %v", order)
		}
	})
}

func TestQueue(t *testing.T) {
	var q queue
	entries := make([]entry, 5000)
	next := 0
	for i := range entries {
		entries[i].removed = i%7 == 0
		q.push(&entries[i])
		for i%3 == 0 && q.first() != nil && q.len() > 1000 {
			if next%7 == 0 {
				next++
			}
			if q.first() != &entries[next] {
				t.Fatalf("entry %d is not the first one", next)
			}
			q.drop()
			next++
		}
	}
	for q.first() != nil {
		q.drop()
	}
	if q.len() != 0 || cap(q.entries) > 4096 {
		t.Errorf("%d entries are left, in room for %d", q.len(), cap(q.entries))
	}
}
