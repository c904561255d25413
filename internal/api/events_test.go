package api

import (
	"bufio"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/events"
)

func logOf(subjects ...string) *events.Log {
	log := events.New()
	for i, s := range subjects {
		log.Add(events.Event{Time: time.Date(2026, 1, 1, 12, i, 0, 0, time.UTC), Kind: events.VRRP, Subject: s})
	}
	return log
}

func TestEventsAreFiltered(t *testing.T) {
	log := logOf("a", "b", "c")
	log.Add(events.Event{Time: time.Date(2026, 1, 1, 13, 0, 0, 0, time.UTC), Kind: events.Server, Subject: "web/192.0.2.1:80"})
	client, _ := served(t, &fakeDirector{events: log})
	all, err := client.Events(t.Context(), EventFilter{})
	if err != nil || len(all.Events) != 4 {
		t.Fatalf("%+v, %v", all, err)
	}
	for name, tt := range map[string]struct {
		filter EventFilter
		want   string
	}{
		"all":   {EventFilter{}, "a b c web/192.0.2.1:80"},
		"after": {EventFilter{After: all.Events[1].ID}, "c web/192.0.2.1:80"},
		"since": {EventFilter{Since: time.Date(2026, 1, 1, 12, 2, 0, 0, time.UTC)}, "c web/192.0.2.1:80"},
		"kind":  {EventFilter{Kinds: []events.Kind{events.Server}}, "web/192.0.2.1:80"},
		"none":  {EventFilter{After: all.Events[3].ID}, ""},
	} {
		got, err := client.Events(t.Context(), tt.filter)
		var subjects []string
		for _, e := range got.Events {
			subjects = append(subjects, e.Subject)
		}
		if text := strings.Join(subjects, " "); err != nil || text != tt.want {
			t.Errorf("%s: %q, %v, want %q", name, text, err, tt.want)
		}
	}
	if _, err := client.Events(t.Context(), EventFilter{Kinds: []events.Kind{"cat"}}); statusOf(err) != http.StatusBadRequest {
		t.Errorf("an unknown kind: %v", err)
	}
}

// TestEventStream follows the events as a browser does, and continues after the last one that it saw.
func TestEventStream(t *testing.T) {
	log := logOf("a", "b")
	_, socket := served(t, &fakeDirector{events: log})
	follow := func(last string) *bufio.Scanner {
		c, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		request := "GET /v1/events HTTP/1.0\r\nHost: lvs-ha\r\nAccept: text/event-stream\r\n"
		if last != "" {
			request += "Last-Event-ID: " + last + "\r\n"
		}
		if _, err := c.Write([]byte(request + "\r\n")); err != nil {
			t.Fatal(err)
		}
		return bufio.NewScanner(c)
	}
	next := func(s *bufio.Scanner) (id, data string) {
		for s.Scan() {
			if word, ok := strings.CutPrefix(s.Text(), "id: "); ok {
				id = word
			}
			if word, ok := strings.CutPrefix(s.Text(), "data: "); ok {
				return id, word
			}
		}
		t.Fatalf("the stream ended: %v", s.Err())
		return "", ""
	}
	stream := follow("")
	first, data := next(stream)
	if !strings.Contains(data, `"subject":"a"`) {
		t.Errorf("first: %s", data)
	}
	if _, data := next(stream); !strings.Contains(data, `"subject":"b"`) {
		t.Errorf("second: %s", data)
	}
	log.Add(events.Event{Kind: events.VRRP, Subject: "c"})
	if _, data := next(stream); !strings.Contains(data, `"subject":"c"`) {
		t.Errorf("a new one: %s", data)
	}
	if _, data := next(follow(first)); !strings.Contains(data, `"subject":"b"`) {
		t.Errorf("continued: %s", data)
	}
}

// TestStreamsAreLimited: clients that follow the events leave room for others.
func TestStreamsAreLimited(t *testing.T) {
	client, socket := served(t, &fakeDirector{events: logOf("a")})
	var refused int
	for range maxStreams + 3 {
		c, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		if _, err := c.Write([]byte("GET /v1/events HTTP/1.1\r\nHost: lvs-ha\r\nAccept: text/event-stream\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode == http.StatusServiceUnavailable {
			refused++
		}
	}
	if refused != 3 {
		t.Errorf("%d streams are refused, want 3", refused)
	}
	if _, err := client.Events(t.Context(), EventFilter{}); err != nil {
		t.Errorf("a client that does not follow: %v", err)
	}
}
