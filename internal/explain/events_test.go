package explain

import (
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/events"
)

// TestEvents checks which events of the director count as seen, and their order.
func TestEvents(t *testing.T) {
	now := time.Now()
	s := Story{Instance: "web", Time: now, Seen: []Fact{{Code: "adverts", Time: now.Add(-time.Second)}}}
	s.Add([]events.Event{
		{Time: now.Add(-time.Hour), Kind: events.Config},
		{Time: now.Add(-2 * time.Second), Kind: events.Track, Subject: "internet"},
		{Time: now.Add(-time.Millisecond), Kind: events.Failover, Subject: "web", To: "requested", By: "root"},
		{Time: now.Add(-time.Millisecond), Kind: events.Failover, Subject: "other"},
		{Time: now.Add(-time.Millisecond), Kind: events.VRRP, Subject: "web"},
		{Time: now.Add(time.Second), Kind: events.Problem},
		{Time: now, Kind: events.Override, Subject: "http/192.0.2.1:80"}, // no track of a service
	})
	got := ""
	for _, f := range s.Seen {
		got += string(f.Code) + " "
	}
	if got != "event-track adverts event-failover " {
		t.Errorf("seen: %s", got)
	}
}

// TestOrders checks when an operator's orders for real servers are the cause of what the track of a service did.
func TestOrders(t *testing.T) {
	now := time.Now()
	ago := func(d time.Duration, kind events.Kind, subject string) events.Event {
		return events.Event{Time: now.Add(-d), Kind: kind, Subject: subject, To: "x", By: "root"}
	}
	pool := ago(10*time.Millisecond, events.Track, "pool")
	order := func(d time.Duration) events.Event { return ago(d, events.Override, "http/192.0.2.1:80") }
	for name, tt := range map[string]struct {
		cause Code
		list  []events.Event
		want  Code
	}{
		"an order":                    {trackedPool, []events.Event{order(11 * time.Millisecond), pool}, Ordered},
		"several":                     {trackedPool, []events.Event{order(12 * time.Millisecond), order(11 * time.Millisecond), pool}, Ordered},
		"an order long before":        {trackedPool, []events.Event{order(3 * time.Second), pool}, trackedPool},
		"an order after the track":    {trackedPool, []events.Event{pool, order(9 * time.Millisecond)}, trackedPool},
		"none":                        {trackedPool, []events.Event{ago(11*time.Millisecond, events.Server, "http/192.0.2.1:80"), pool}, trackedPool},
		"of another track":            {trackedPool, []events.Event{order(11 * time.Millisecond), ago(10*time.Millisecond, events.Track, "other")}, trackedPool},
		"the last change counts":      {trackedPool, []events.Event{order(time.Second), ago(time.Second, events.Track, "pool"), pool}, trackedPool},
		"a script failed meanwhile":   {"track-script", []events.Event{order(11 * time.Millisecond), pool}, "track-script"},
		"an order of the same moment": {trackedPool, []events.Event{order(10 * time.Millisecond), pool}, Ordered},
	} {
		s := Story{Instance: "web", Time: now, Cause: tt.cause, Detail: "pool: 0 of 2 real servers in use"}
		s.Add(tt.list)
		if s.Cause != tt.want {
			t.Errorf("%s: %s, want %s: %s", name, s.Cause, tt.want, s.Text)
		}
	}
}

// TestManyEvents checks that the events of a kind are limited to the last ones, and that their number is told.
func TestManyEvents(t *testing.T) {
	now := time.Now()
	var list []events.Event
	for i := range 1000 {
		list = append(list, events.Event{Time: now.Add(time.Duration(i-1000) * time.Millisecond), Kind: events.Server, To: "down"})
	}
	s := Story{Instance: "web", Time: now, Cause: trackedPool}
	s.Add(list)
	if len(s.Seen) != eventsMost+1 || !s.Seen[0].Time.Equal(list[0].Time) || !s.Seen[eventsMost].Time.Equal(list[999].Time) {
		t.Errorf("%d facts: %+v", len(s.Seen), s.Seen)
	}
}
