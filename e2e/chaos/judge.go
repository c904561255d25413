package chaos

import (
	"slices"
	"time"
)

// longest is the longest time within a window in which something was so, given the directors' states.
func longest(all [][]state, from, to time.Time, so func(now []state) bool) (most time.Duration) {
	type change struct {
		at  time.Time
		who int
		is  state
	}
	var changes []change
	for who, states := range all {
		for _, s := range states {
			changes = append(changes, change{s.at, who, s})
		}
	}
	slices.SortStableFunc(changes, func(a, b change) int { return a.at.Compare(b.at) })
	now := make([]state, len(all))
	var since time.Time
	for _, c := range changes {
		if c.at.After(to) {
			break
		}
		now[c.who] = c.is
		switch is := so(now); {
		case is && since.IsZero():
			since = c.at
		case !is && !since.IsZero():
			most = max(most, within(since, c.at, from, to))
			since = time.Time{}
		}
	}
	if !since.IsZero() {
		most = max(most, within(since, to, from, to))
	}
	return most
}

// within is how much of a span is in a window.
func within(since, until, from, to time.Time) time.Duration {
	if since.Before(from) {
		since = from
	}
	if until.After(to) {
		until = to
	}
	return max(0, until.Sub(since))
}

// judgeStates measures what the directors' kernels had.
func judgeStates(all [][]state, addresses int, from, to time.Time) (b Budget) {
	for address := range addresses {
		holders := func(now []state) (n int) {
			for _, s := range now {
				if s.holds(address) {
					n++
				}
			}
			return n
		}
		b.NoHolder = max(b.NoHolder, longest(all, from, to, func(now []state) bool { return holders(now) == 0 }))
		b.Overlap = max(b.Overlap, longest(all, from, to, func(now []state) bool { return holders(now) > 1 }))
	}
	for who := range all {
		one := all[who : who+1]
		b.Table = max(b.Table, longest(one, from, to, func(now []state) bool {
			return now[0].holdsAny() && (now[0].services == 0 || now[0].servers == 0)
		}))
		b.Forward = max(b.Forward, longest(one, from, to, func(now []state) bool { return now[0].holdsAny() && !now[0].forwards }))
	}
	return b
}

// longestSilence is the longest time in which an API did not answer: from a question to the end of the next answer, less
// the pause between questions.
func longestSilence(answers []answer, to time.Time) (most time.Duration) {
	var since time.Time
	for _, a := range answers {
		if since.IsZero() {
			since = a.began
		}
		if a.ok {
			most = max(most, a.ended.Sub(since))
			since = time.Time{}
		}
	}
	if !since.IsZero() {
		most = max(most, to.Sub(since))
	}
	return most
}
