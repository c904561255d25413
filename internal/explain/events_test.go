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
	})
	got := ""
	for _, f := range s.Seen {
		got += string(f.Code) + " "
	}
	if got != "event-track adverts event-failover " {
		t.Errorf("seen: %s", got)
	}
}
