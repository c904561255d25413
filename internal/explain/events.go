package explain

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/events"
)

// Events of the director count as seen if they are this close to a transition.
const (
	eventsBefore = 5 * time.Second
	eventsAfter  = 100 * time.Millisecond
)

// Add adds the director's events near the transition to what was seen: what operators, reloads, tracks and the director's own
// parts did.
func (s *Story) Add(list []events.Event) {
	for _, e := range list {
		if d := e.Time.Sub(s.Time); d < -eventsBefore || d > eventsAfter {
			continue
		}
		switch e.Kind {
		case events.Failover:
			if e.Subject != s.Instance {
				continue
			}
		case events.Config, events.Problem, events.Track, events.Service:
		default:
			continue
		}
		change := e.To
		if e.From != "" {
			change = e.From + " -> " + e.To
		}
		text := fmt.Sprintf("%s %s: %s", e.Kind, e.Subject, change)
		if e.Reason != "" {
			text += " (" + e.Reason + ")"
		}
		if e.By != "" {
			text += " by " + e.By
		}
		s.Seen = append(s.Seen, Fact{Code: Code("event-" + string(e.Kind)), Time: e.Time, Text: text})
	}
	slices.SortStableFunc(s.Seen, func(a, b Fact) int { return cmp.Compare(a.Time.UnixNano(), b.Time.UnixNano()) })
}
