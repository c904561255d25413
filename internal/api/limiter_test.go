package api

import (
	"bufio"
	"context"
	"errors"
	"io"
	"iter"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestIdleConnectionsAreReplaced opens thousands of idle connections, which must not block active ones or use up descriptors.
func TestIdleConnectionsAreReplaced(t *testing.T) {
	client, socket := served(t, &fakeDirector{status: Status{Node: "lb1"}})
	before := openFiles(t)
	var idle []net.Conn
	defer func() {
		for _, c := range idle {
			c.Close()
		}
	}()
	for range 4 * maxConnections {
		c, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		idle = append(idle, c)
	}
	if s, err := client.Status(t.Context()); err != nil || s.Node != "lb1" {
		t.Errorf("got %+v, %v", s.Node, err)
	}
	for _, c := range idle[:len(idle)-maxConnections-1] {
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Fatalf("the oldest connection: got error %v, want it closed", err)
		}
	}
	if extra := openFiles(t) - before - len(idle); extra > maxConnections+8 {
		t.Errorf("%d descriptors are open at the server's end, want %d at most", extra, maxConnections)
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// busyDirector completes a status request when the test allows it.
type busyDirector struct {
	fakeDirector
	asked, answer chan struct{}
}

func (d *busyDirector) Survey(ctx context.Context) (Status, iter.Seq[*Service], error) {
	d.asked <- struct{}{}
	<-d.answer
	return d.fakeDirector.Survey(ctx)
}

func TestTooManyRequestsAreRefusedWith503(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "api.sock")
	l, err := (&unixSocket{path: socket, sockets: newSockets(Kept{}, nil)}).open()
	if err != nil {
		t.Fatal(err)
	}
	d := &busyDirector{asked: make(chan struct{}), answer: make(chan struct{})}
	limiter := newLimiter(l, 1)
	closed := make(chan struct{}, 8)
	server := &http.Server{Handler: handler(d, nil, localCaller, nil), ConnContext: withConnection, ConnState: func(c net.Conn, state http.ConnState) {
		limiter.changed(c, state)
		if state == http.StateClosed {
			closed <- struct{}{}
		}
	}}
	ended := make(chan struct{})
	go func() { defer close(ended); server.Serve(limiter) }()
	defer func() { server.Close(); <-ended }()
	first := make(chan error, 1)
	go func() {
		_, err := NewClient(socket).Status(t.Context())
		first <- err
	}()
	<-d.asked
	_, err = NewClient(socket).Status(t.Context())
	if e, ok := errors.AsType[*Error](err); !ok || e.Status != http.StatusServiceUnavailable {
		t.Errorf("got error %v, want a refusal", err)
	}
	close(d.answer)
	if err := <-first; err != nil {
		t.Errorf("the request that was being answered: %v", err)
	}
	<-closed
	go func() { <-d.asked }()
	if _, err := NewClient(socket).Status(t.Context()); err != nil {
		t.Errorf("when there is room again: %v", err)
	}
}

// TestIdlePersistentConnectionIsClosed checks that a persistent connection is closed some seconds after its last request.
func TestIdlePersistentConnectionIsClosed(t *testing.T) {
	_, socket := served(t, &fakeDirector{})
	c, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(4 * idleTimeout))
	r := bufio.NewReader(c)
	for range 3 {
		if _, err := io.WriteString(c, "GET /v1/status HTTP/1.1\r\nHost: lvs-ha\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Fatal(err)
		}
	}
	for range maxConnections {
		other, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
	}
	if _, err := r.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("got error %v, want the connection closed", err)
	}
}

// TestOneDiagnosisAtATime: each runs all health checks.
func TestOneDiagnosisAtATime(t *testing.T) {
	d := &fakeDirector{}
	turn := make(diagnoses, 1)
	turn <- struct{}{}
	if _, err := turn.make(t.Context(), d); statusOf(err) != http.StatusServiceUnavailable {
		t.Errorf("got error %v, want a refusal", err)
	}
	<-turn
	for range 2 {
		if got, err := turn.make(t.Context(), d); err != nil || got.ExitStatus != 2 || len(got.Findings) != 1 {
			t.Errorf("got %+v, %v", got, err)
		}
	}
}

// TestOnePlanAtATime: the next one does not read its configuration before its turn.
func TestOnePlanAtATime(t *testing.T) {
	d := &fakeDirector{}
	turn := make(plans, 1)
	turn <- struct{}{}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	body := &endless{start: strings.NewReader("{")}
	if _, err := turn.make(ctx, d, body); statusOf(err) != http.StatusGatewayTimeout || body.read.Load() != 0 {
		t.Errorf("got error %v after %d bytes", err, body.read.Load())
	}
	<-turn
	for range 2 {
		if _, err := turn.make(t.Context(), d, strings.NewReader("")); err != nil {
			t.Error(err)
		}
	}
}
