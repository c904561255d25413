package healthcheck_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	. "github.com/lvs-ha/lvs-ha/healthcheck"
)

// result returns the result for a letter: + good, - bad, ~ not run.
func result(letter rune) Result {
	return Result{OK: letter == '+', Local: letter == '~', Detail: string(letter)}
}

func judgeAll(results string, rise, fall int) Health {
	var h Health
	for i, letter := range results {
		h = Judge(h, result(letter), rise, fall, second(i))
	}
	return h
}

func second(i int) time.Time { return time.Unix(int64(i), 0) }

func TestJudge(t *testing.T) {
	for _, c := range []struct {
		results    string
		rise, fall int
		want       State
		since      int // index of the result that began the state
	}{
		{"", 2, 3, Unknown, -1},
		{"+", 2, 3, Up, 0}, // the first result determines the state
		{"-", 2, 3, Down, 0},
		{"+--", 2, 3, Up, 0},
		{"+---", 2, 3, Down, 3},
		{"+--+--", 2, 3, Up, 0}, // a good result restarts the count
		{"+--+---", 2, 3, Down, 6},
		{"-+", 2, 3, Down, 0},
		{"-++", 2, 3, Up, 2},
		{"-+-+-+", 2, 3, Down, 0},
		{"+---++", 2, 3, Up, 5},
		{"+-", 1, 1, Down, 1},
		{"-+", 1, 1, Up, 1},
		{"~", 1, 1, Unknown, -1}, // a check that was not run has no effect
		{"~~+", 2, 3, Up, 2},
		{"+~~~~", 1, 1, Up, 0},
		{"-~~~~", 1, 1, Down, 0},
		{"+-~--", 2, 3, Down, 4}, // and does not interrupt a sequence
		{"-+~+", 2, 3, Up, 3},
		{"+-", 0, 0, Down, 1}, // values below 1 count as 1
		{"-+", 0, 0, Up, 1},
	} {
		h := judgeAll(c.results, c.rise, c.fall)
		since := time.Time{}
		if c.since >= 0 {
			since = second(c.since)
		}
		if h.State != c.want || !h.Since.Equal(since) {
			t.Errorf("%q with rise %d, fall %d: %v since %v, want %v since result %d", c.results, c.rise, c.fall, h.State, h.Since, c.want, c.since)
		}
		if n := len(c.results); n > 0 && (h.Detail != c.results[n-1:] || !h.Checked.Equal(second(n-1))) {
			t.Errorf("%q: detail %q checked %v", c.results, h.Detail, h.Checked)
		}
	}
}

// TestJudgeExhaustively compares every sequence of up to seven results with the definition.
func TestJudgeExhaustively(t *testing.T) {
	var extend func(results string)
	extend = func(results string) {
		for rise := 1; rise <= 3; rise++ {
			for fall := 1; fall <= 3; fall++ {
				if got, want := judgeAll(results, rise, fall).State, definition(results, rise, fall); got != want {
					t.Fatalf("%q with rise %d, fall %d: %v, want %v", results, rise, fall, got, want)
				}
			}
		}
		if len(results) < 7 {
			extend(results + "+")
			extend(results + "-")
			extend(results + "~")
		}
	}
	extend("")
}

// definition finds the latest point at which the results determined the state: the first one, fall consecutive bad ones, or
// rise consecutive good ones.
func definition(results string, rise, fall int) State {
	results = strings.ReplaceAll(results, "~", "")
	for n := len(results); n > 0; n-- {
		switch history := results[:n]; {
		case history == "+":
			return Up
		case history == "-":
			return Down
		case strings.HasSuffix(history, strings.Repeat("-", fall)):
			return Down
		case strings.HasSuffix(history, strings.Repeat("+", rise)):
			return Up
		}
	}
	return Unknown
}

func TestJudgeProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rise, fall := rapid.IntRange(1, 5).Draw(t, "rise"), rapid.IntRange(1, 5).Draw(t, "fall")
		var h Health
		changed := 0 // index of the result that began the state
		for i, letter := range rapid.SliceOfN(rapid.SampledFrom([]rune("+-~")), 1, 60).Draw(t, "results") {
			before := h
			h = Judge(h, result(letter), rise, fall, second(i))
			if letter == '~' && (h.State != before.State || h.Good != before.Good || h.Bad != before.Bad) {
				t.Fatalf("result %d says nothing, and %+v became %+v", i, before, h)
			}
			if letter != '~' && h.State == Unknown {
				t.Fatalf("unknown after result %d", i)
			}
			if h.Good > 0 && h.Bad > 0 {
				t.Fatalf("both in a row: %+v", h)
			}
			if h.State == before.State {
				if !h.Since.Equal(before.Since) {
					t.Fatalf("the same state since another time: %+v, %+v", before, h)
				}
				continue
			}
			if !h.Since.Equal(second(i)) || (letter == '+') != (h.State == Up) {
				t.Fatalf("result %q made %+v out of %+v", letter, h, before)
			}
			if need := map[State]int{Up: rise, Down: fall}[h.State]; before.State != Unknown && i-changed < need {
				t.Fatalf("%v only %d results after it became %v", h.State, i-changed, before.State)
			}
			changed = i
		}
	})
}

func TestStateText(t *testing.T) {
	for _, s := range []State{Unknown, Up, Down} {
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var back State
		if err := json.Unmarshal(text, &back); err != nil || back != s {
			t.Errorf("%s decodes as %v, %v", text, back, err)
		}
		if fmt.Sprintf("%q", s) != string(text) {
			t.Errorf("%s prints as %v", text, s)
		}
	}
	if err := new(State).UnmarshalText([]byte("sick")); err == nil {
		t.Error("no error for an unknown name")
	}
	if _, err := State(9).MarshalText(); err == nil || State(9).String() != "state 9" {
		t.Errorf("a state that is none encodes, or prints as %v", State(9))
	}
}
