package director

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/events"
	"github.com/lvs-ha/lvs-ha/internal/explain"
	"github.com/lvs-ha/lvs-ha/internal/flight"
)

// reading limits readers of the recording, which has 16 MB with 1,000 instances, to one at a time.
var reading sync.Mutex

// Explain explains the last transition of an instance, or of all, until a time; zero means now.
func (d *Director) Explain(_ context.Context, instance string, until time.Time) (explain.Story, error) {
	if d.Recording == nil {
		return explain.Story{}, &api.Error{Status: http.StatusServiceUnavailable, Err: errors.New("there is no flight recording; the log has the reason")}
	}
	if until.IsZero() {
		until = time.Now().Add(time.Hour) // the clock may have been set back
	}
	reading.Lock()
	defer reading.Unlock()
	raw, err := flight.Read(d.Recording)
	if err != nil {
		return explain.Story{}, &api.Error{Status: http.StatusServiceUnavailable, Err: err}
	}
	routers, err := flight.Decode(raw)
	if err != nil {
		return explain.Story{}, &api.Error{Status: http.StatusServiceUnavailable, Err: err}
	}
	s, _, ok := explain.Latest(routers, instance, until)
	if !ok {
		return s, &api.Error{Status: http.StatusNotFound, Err: explain.NotRecorded(routers, instance, until)}
	}
	list, _ := d.events.After("")
	s.Add(list)
	return s, nil
}

// SavedEvents returns the events that a director saved last beside its state file; none if there are none.
func SavedEvents(stateFile string) []events.Event {
	var saved events.Saved
	if eventsFormat.Read(eventsFile(stateFile), &saved) != nil {
		return nil
	}
	return saved.Events
}
