package history

import (
	"fmt"
	"strings"
	"testing"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// run returns the transitions from one number to another of a series, of the instances "a" (odd) and "b" (even).
func run(series string, from, to uint64) []vrrp.Transition {
	var list []vrrp.Transition
	for n := from; n <= to; n++ {
		list = append(list, vrrp.Transition{Series: series, Sequence: n, Instance: string("ba"[n%2])})
	}
	return list
}

// text abbreviates events: "1 2 -3 5" has 3 lost before 5.
func text(events []Event) string {
	var words []string
	for _, e := range events {
		if e.Lost > 0 {
			words = append(words, fmt.Sprintf("-%d", e.Lost))
			continue
		}
		words = append(words, fmt.Sprint(e.Sequence))
	}
	return strings.Join(words, " ")
}

func TestAdd(t *testing.T) {
	position := func(series string, n uint64) vrrp.Position { return vrrp.Position{Series: series, Sequence: n} }
	for name, tt := range map[string]struct {
		seen  vrrp.Position
		lists [][]vrrp.Transition
		want  string
	}{
		"in order":                     {lists: [][]vrrp.Transition{run("x", 1, 2), run("x", 3, 3)}, want: "1 2 3"},
		"some again":                   {lists: [][]vrrp.Transition{run("x", 1, 3), run("x", 2, 4)}, want: "1 2 3 4"},
		"a gap":                        {lists: [][]vrrp.Transition{run("x", 1, 2), run("x", 6, 6)}, want: "1 2 -3 6"},
		"a late beginning":             {lists: [][]vrrp.Transition{run("x", 7, 8)}, want: "7 8"},
		"a restart":                    {seen: position("x", 7), lists: [][]vrrp.Transition{run("x", 6, 9)}, want: "6 7 8 9"},
		"a restart after an overrun":   {seen: position("x", 7), lists: [][]vrrp.Transition{run("x", 10, 11)}, want: "-2 10 11"},
		"a restart, and another one's": {seen: position("w", 7), lists: [][]vrrp.Transition{run("x", 3, 4)}, want: "3 4"},
		"another series":               {lists: [][]vrrp.Transition{run("x", 1, 2), run("y", 1, 2)}, want: "1 2 1 2"},
		"another series, late":         {lists: [][]vrrp.Transition{run("x", 1, 2), run("y", 3, 3)}, want: "1 2 -2 3"},
		"another series in one list":   {lists: [][]vrrp.Transition{append(run("x", 1, 1), run("y", 1, 1)...)}, want: "1 1"},
	} {
		h := New()
		var got []Event
		for _, list := range tt.lists {
			got = append(got, h.Add(list, tt.seen)...)
		}
		if text(got) != tt.want {
			t.Errorf("%s: %s, want %s", name, text(got), tt.want)
		}
	}
}

func TestInstanceKeepsLatestEventsAndGaps(t *testing.T) {
	h := New()
	h.Add(run("x", 1, 4), vrrp.Position{})
	h.Add(run("x", 9, 9), vrrp.Position{})
	if a, b := text(h.Of("a")), text(h.Of("b")); a != "1 3 -4 9" || b != "2 4 -4" {
		t.Errorf("a: %s, b: %s", a, b)
	}
	before := h.Of("a")
	was := text(before)
	h.Add(run("x", 10, 300), vrrp.Position{})
	if text(before) != was {
		t.Error("a list that was read has changed")
	}
	if list := h.Of("a"); len(list) != Kept || list[Kept-1].Sequence != 299 {
		t.Errorf("%d kept: %s", len(list), text(list))
	}
	h.Forget(func(instance string) bool { return instance == "b" })
	if len(h.Of("a")) != 0 || len(h.Of("b")) != Kept {
		t.Errorf("%d of a and %d of b are kept", len(h.Of("a")), len(h.Of("b")))
	}
}
