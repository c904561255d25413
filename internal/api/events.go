package api

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/events"
)

// Event is something that changed: an instance's state, a real server's, an operator's order.
type Event struct {
	ID      string      `json:"id"` // unique, also over restarts
	Time    time.Time   `json:"time"`
	Kind    events.Kind `json:"kind"`
	Subject string      `json:"subject"` // an instance, a service, SERVICE/SERVER, a path, a part of lvs-ha
	From    string      `json:"from,omitempty"`
	To      string      `json:"to,omitempty"`
	Reason  string      `json:"reason,omitempty"`
	By      string      `json:"by,omitempty"` // the operator
}

// Events are the latest events, oldest first.
type Events struct {
	Events []Event `json:"events"`
}

// EventFilter selects events. The zero value selects all.
type EventFilter struct {
	After string    // the ID of an event: only later ones
	Since time.Time // only from this time
	Kinds []events.Kind
}

func (f EventFilter) query() string {
	q := url.Values{}
	if f.After != "" {
		q.Set("after", f.After)
	}
	if !f.Since.IsZero() {
		q.Set("since", f.Since.Format(time.RFC3339Nano))
	}
	for _, k := range f.Kinds {
		q.Add("kind", string(k))
	}
	if len(q) == 0 {
		return ""
	}
	return "?" + q.Encode()
}

func filterOf(r *http.Request) (f EventFilter, err error) {
	q := r.URL.Query()
	f.After = q.Get("after")
	if id := r.Header.Get("Last-Event-ID"); id != "" {
		f.After = id
	}
	if since := q.Get("since"); since != "" {
		if f.Since, err = time.Parse(time.RFC3339, since); err != nil {
			return f, fmt.Errorf("since: %.100q is not a time such as 2026-01-31T12:00:00Z", since)
		}
	}
	for _, word := range q["kind"] {
		kind := events.Kind(word)
		if !slices.Contains(events.Kinds(), kind) {
			return f, fmt.Errorf("kind: there is no %.100q; the kinds are %v", word, events.Kinds())
		}
		f.Kinds = append(f.Kinds, kind)
	}
	return f, nil
}

func (f EventFilter) selects(e events.Event) bool {
	return !e.Time.Before(f.Since) && (len(f.Kinds) == 0 || slices.Contains(f.Kinds, e.Kind))
}

// next returns the events that a filter selects, and moves the filter behind them.
func (f *EventFilter) next(log *events.Log) (list []Event, added <-chan struct{}) {
	all, added := log.After(f.After)
	for _, e := range all {
		if f.selects(e) {
			list = append(list, Event{ID: log.ID(e), Time: e.Time, Kind: e.Kind, Subject: e.Subject, From: e.From, To: e.To, Reason: e.Reason, By: e.By})
		}
	}
	if len(all) > 0 {
		f.After = log.ID(all[len(all)-1])
	}
	return list, added
}

const (
	maxStreams  = 16               // that are served at the same time by one listener
	streamPing  = 10 * time.Second // between lines that show that the connection works
	streamWrite = 10 * time.Second // for a client to take what is written
)

// serveEvents answers with the latest events or, if the client accepts text/event-stream, with those and all that follow.
func serveEvents(d Director, ended <-chan struct{}) http.HandlerFunc {
	streams := make(chan struct{}, maxStreams)
	return func(w http.ResponseWriter, r *http.Request) {
		filter, err := filterOf(r)
		if err != nil {
			answer(w, nil, &Error{Status: http.StatusBadRequest, Err: err})
			return
		}
		if !strings.Contains(r.Header.Get("Accept"), "text/event-stream") {
			list, _ := filter.next(d.Events())
			answer(w, Events{Events: append([]Event{}, list...)}, nil)
			return
		}
		select {
		case streams <- struct{}{}:
			defer func() { <-streams }()
			stream(w, r, d.Events(), filter, ended)
		default:
			answer(w, nil, &Error{Status: http.StatusServiceUnavailable, Err: fmt.Errorf("%d clients follow the events already; try again", maxStreams)})
		}
	}
}

// stream sends events until the client disconnects, does not take them in time, or ended is closed.
func stream(w http.ResponseWriter, r *http.Request, log *events.Log, filter EventFilter, ended <-chan struct{}) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Time{}) // also for noticing that the client disconnects
	ping := time.NewTicker(streamPing)
	defer ping.Stop()
	text := ": lvs-ha events\n\n"
	for {
		list, added := filter.next(log)
		for _, e := range list {
			body, err := json.Marshal(e)
			if err != nil {
				return
			}
			text += fmt.Sprintf("id: %s\nevent: %s\ndata: %s\n\n", e.ID, e.Kind, body)
		}
		if text != "" {
			_ = control.SetWriteDeadline(time.Now().Add(streamWrite))
			if _, err := io.WriteString(w, text); err != nil || control.Flush() != nil {
				return
			}
		}
		text = ""
		select {
		case <-added:
		case <-ping.C:
			text = ": ping\n\n"
		case <-r.Context().Done():
			return
		case <-ended:
			return
		}
	}
}

// Events returns the latest events.
func (c *Client) Events(ctx context.Context, f EventFilter) (Events, error) {
	var e Events
	return e, c.do(ctx, http.MethodGet, "/v1/events"+f.query(), nil, &e)
}
