package events

import (
	"fmt"
	"testing"
)

func numbers(list []Event) string {
	text := ""
	for i, e := range list {
		if i == 0 || i == len(list)-1 {
			text += fmt.Sprintf("%d ", e.Sequence)
		}
	}
	return fmt.Sprintf("%d: %s", len(list), text)
}

func TestAfter(t *testing.T) {
	l := New()
	for range 5 {
		l.Add(Event{})
	}
	all, _ := l.After("")
	third := l.ID(all[2])
	for id, want := range map[string]string{
		"": "5: 1 5 ", third: "2: 4 5 ", l.ID(all[4]): "0: ",
		"other-3": "5: 1 5 ", "nonsense": "5: 1 5 ", l.ID(Event{Sequence: 99}): "0: ",
	} {
		if list, _ := l.After(id); numbers(list) != want {
			t.Errorf("after %q: %s, want %s", id, numbers(list), want)
		}
	}
	_, added := l.After(third)
	select {
	case <-added:
		t.Error("no event was added")
	default:
	}
	l.Add(Event{})
	<-added
}

// TestOldEventsAreDropped: readers keep the lists that they got.
func TestOldEventsAreDropped(t *testing.T) {
	l := New()
	var early []Event
	for i := range 5 * Kept {
		if i == Kept/2 {
			early, _ = l.After("")
		}
		l.Add(Event{})
	}
	if list, _ := l.After(""); numbers(list) != fmt.Sprintf("%d: %d %d ", Kept, 4*Kept+1, 5*Kept) {
		t.Error(numbers(list))
	}
	if list, _ := l.After(l.ID(Event{Sequence: 3})); len(list) != Kept {
		t.Errorf("after an event that was dropped: %s", numbers(list))
	}
	if numbers(early) != fmt.Sprintf("%d: 1 %d ", Kept/2, Kept/2) {
		t.Errorf("an early list: %s", numbers(early))
	}
}

func TestSavedLogContinues(t *testing.T) {
	l := New()
	if _, any := l.Unsaved(); any {
		t.Error("a new log has nothing to save")
	}
	l.Add(Event{Subject: "a"})
	l.Add(Event{Subject: "b"})
	saved, any := l.Unsaved()
	if _, again := l.Unsaved(); !any || again {
		t.Errorf("unsaved: %t, then %t", any, again)
	}
	next := New()
	next.Continue(saved)
	next.Add(Event{Subject: "c"})
	list, _ := next.After(l.ID(saved.Events[0]))
	if numbers(list) != "2: 2 3 " || list[1].Subject != "c" {
		t.Errorf("%+v", list)
	}
}
