package healthcheck_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	. "github.com/lvs-ha/lvs-ha/healthcheck"
)

// TestSecretsNeverPrint has servers send a check's secret header back in every part of a response, and looks for it in
// all output of the package.
func TestSecretsNeverPrint(t *testing.T) {
	const hidden = "c2VjcmV0OnBhc3N3b3Jk"
	var said strings.Builder
	for _, answer := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 503 SECRET\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 SECRET\r\n\r\n",
		"SECRET\r\n\r\n",
		"HTTP/1.1 200 OK\r\nSECRET\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: SECRET\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: SECRET\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nSECRET\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nSECRET",
	} {
		for _, kind := range []Kind{"http", "https"} {
			spec := httpSpec(func(h *Request) {
				h.Header = []Header{{Name: "Authorization", Value: hidden}}
				h.Body = "^good$"
			})
			if kind == "https" {
				spec.Check = &HTTPS{spec.Check.(*HTTP).Request, &TLS{SkipVerify: true}}
			}
			spec.Interval, spec.Timeout, spec.Rise, spec.Fall = time.Hour, 5*time.Second, 1, 1
			server := serve(t, loopback, func(c net.Conn) {
				if kind == "http" && request(c) == nil {
					return
				}
				_, _ = io.WriteString(c, strings.ReplaceAll(answer, "SECRET", hidden))
			})
			fmt.Fprintf(&said, "%+v\n", runOnce(t, NewTarget(server.Addr(), server.Port(), spec), &said, nil))
		}
	}
	target := NewTarget(someAddress, 80, httpSpec(func(h *Request) { h.Header = []Header{{Name: "X", Value: hidden}} }))
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		fmt.Fprintf(&said, verb+"\n", target)
		fmt.Fprintf(&said, verb+"\n", target.Spec.Check)
	}
	fmt.Fprintln(&said, target.Key())
	crash := func(Spec) (Probe, error) { return nil, fmt.Errorf("no probe") }
	fmt.Fprintf(&said, "%+v\n", runOnce(t, target, &said, crash))

	if strings.Contains(said.String(), hidden) || strings.Contains(said.String(), fmt.Sprintf("%x", hidden)) {
		t.Errorf("the secret is printed:\n%s", said.String())
	}
	if strings.Count(said.String(), "\n") < 30 {
		t.Errorf("hardly anything was said:\n%s", said.String())
	}
}

// runOnce runs one check of a target in a scheduler and returns the event. The log is written to said.
func runOnce(t *testing.T, target Target, said *strings.Builder, newProbe func(Spec) (Probe, error)) Event {
	t.Helper()
	var log bytes.Buffer
	events := make(chan Event, 1)
	s := NewScheduler(Options{
		Report: func(e Event) {
			select {
			case events <- e:
			default:
			}
		},
		NewProbe: newProbe,
		Logger:   slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err := s.Update([]Target{target}); err != nil {
		fmt.Fprintln(said, err)
	}
	stop := start(t, s)
	defer func() {
		stop()
		fmt.Fprintf(said, "%s%+v\n%+v\n", log.String(), s.Snapshot(), s.Stats())
	}()
	select {
	case e := <-events:
		return e
	case <-time.After(30 * time.Second):
		t.Fatal("no result")
		return Event{}
	}
}
