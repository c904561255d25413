package explain

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/events"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// Events of the director count as seen if they are this close to a transition.
const (
	eventsBefore = 5 * time.Second
	eventsAfter  = 100 * time.Millisecond

	eventsMost  = 10                     // of a kind, the last ones
	ordersMost  = 100 * time.Millisecond // from an operator's order for a real server to what it does to a track
	trackedPool = Code("track-" + vrrp.TrackService)
)

// Add adds the director's events near the transition to what was seen: what operators, reloads, tracks and the director's own
// parts did, and if real servers matter, what became of them. Orders for real servers are the cause of what a track of their service did.
func (s *Story) Add(list []events.Event) {
	near := slices.DeleteFunc(slices.Clone(list), func(e events.Event) bool {
		d := e.Time.Sub(s.Time)
		return d < -eventsBefore || d > eventsAfter || !s.concerns(e)
	})
	s.blame(near)
	count := map[events.Kind]int{}
	for _, e := range slices.Backward(near) {
		if count[e.Kind]++; count[e.Kind] <= eventsMost {
			s.Seen = append(s.Seen, Fact{Code: Code("event-" + string(e.Kind)), Time: e.Time, Text: textOfEvent(e)})
		}
	}
	for _, k := range events.Kinds() {
		if more := count[k] - eventsMost; more > 0 {
			first := near[slices.IndexFunc(near, func(e events.Event) bool { return e.Kind == k })]
			s.Seen = append(s.Seen, Fact{Code: Code("event-" + string(k)), Time: first.Time, Text: fmt.Sprintf("%s: %d more before the following ones", k, more)})
		}
	}
	slices.SortStableFunc(s.Seen, func(a, b Fact) int { return cmp.Compare(a.Time.UnixNano(), b.Time.UnixNano()) })
}

// concerns reports whether an event may have to do with the transition.
func (s *Story) concerns(e events.Event) bool {
	switch e.Kind {
	case events.Failover:
		return e.Subject == s.Instance
	case events.Config, events.Problem, events.Track, events.Service:
		return true
	case events.Server, events.Override, events.Discover:
		return s.Cause == trackedPool
	}
	return false
}

// blame makes an operator's orders the cause if the track of a service changed because of them.
func (s *Story) blame(near []events.Event) {
	if s.Cause != trackedPool {
		return
	}
	name, _, _ := strings.Cut(s.Detail, ":")
	var orders []events.Event
	for _, e := range near {
		if e.Kind != events.Track || e.Subject != name {
			continue
		}
		orders = nil
		for _, o := range near {
			if before := e.Time.Sub(o.Time); o.Kind == events.Override && before >= 0 && before < ordersMost {
				orders = append(orders, o)
			}
		}
	}
	if len(orders) == 0 {
		return
	}
	text := textOfEvent(orders[0])
	if n := len(orders) - 1; n > 0 {
		text += fmt.Sprintf(", and %d more", n)
	}
	s.Cause, s.Text = Ordered, "an operator's order, "+text+"; "+s.Text
}

func textOfEvent(e events.Event) string {
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
	return text
}
