package chaos

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Report summarizes rounds.
type Report struct {
	rounds, broken int
	steps          map[string]int // by trouble, in all rounds
	alone          map[string]*line
	together       line
	stalled        time.Duration
}

type line struct {
	rounds, broken int
	worst          Budget
}

// Add adds a round.
func (r *Report) Add(result Result) {
	if r.steps == nil {
		r.steps, r.alone = map[string]int{}, map[string]*line{}
	}
	r.rounds++
	bad := 0
	if len(result.Broken) > 0 {
		bad = 1
	}
	r.broken += bad
	r.stalled = max(r.stalled, result.Stalled)
	for _, step := range result.Schedule {
		r.steps[step.Trouble.Name]++
		if r.alone[step.Trouble.Name] == nil {
			r.alone[step.Trouble.Name] = &line{}
		}
	}
	l := &r.together
	if len(result.Schedule) == 1 {
		l = r.alone[result.Schedule[0].Trouble.Name]
	}
	l.rounds++
	l.broken += bad
	l.worst = l.worst.worst(result.Seen)
}

// Troubles returns the number of troubles.
func (r *Report) Troubles() (n int) {
	for _, count := range r.steps {
		n += count
	}
	return n
}

// Broken returns the number of rounds that exceeded a budget.
func (r *Report) Broken() int { return r.broken }

// String returns a table: for each trouble the number of occurrences, the number of rounds with that trouble alone, and the
// worst figures of those rounds.
func (r *Report) String() string {
	var out strings.Builder
	fmt.Fprintf(&out, "%-27s %6s %6s %6s", "worst, in ms, of", "times", "alone", "broken")
	for _, q := range quantities {
		fmt.Fprintf(&out, " %13s", q.name)
	}
	out.WriteString("\n")
	row := func(name string, times int, l *line) {
		fmt.Fprintf(&out, "%-27s %6d %6d %6d", name, times, l.rounds, l.broken)
		for _, q := range quantities {
			fmt.Fprintf(&out, " %13d", q.of(&l.worst).Milliseconds())
		}
		out.WriteString("\n")
	}
	names := make([]string, 0, len(r.steps))
	for name := range r.steps {
		names = append(names, name)
	}
	slices.Sort(names)
	together := r.Troubles()
	for _, name := range names {
		row(name, r.steps[name], r.alone[name])
		together -= r.alone[name].rounds
	}
	row("several in one round", together, &r.together)
	fmt.Fprintf(&out, "%d troubles in %d rounds, of which %d broke a budget; the longest stall of a machine was %v\n",
		r.Troubles(), r.rounds, r.broken, r.stalled.Round(time.Millisecond))
	return out.String()
}
