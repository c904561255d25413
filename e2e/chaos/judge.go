package chaos

import (
	"slices"
	"time"
)

// longest returns the longest time within a window for which so was true of the directors' states.
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

// within returns the part of a span that falls in a window.
func within(since, until, from, to time.Time) time.Duration {
	if since.Before(from) {
		since = from
	}
	if until.After(to) {
		until = to
	}
	return max(0, until.Sub(since))
}

// judgeStates measures the budget quantities that follow from the directors' kernel state.
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

// longestSilence returns the longest time for which an API did not respond: from a request to the end of the next
// response, less the pause between requests.
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
