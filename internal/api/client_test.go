package api

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestUnresponsiveDirectorIsNotReportedAsStopped(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "api.sock")
	l, err := net.Listen("unix", socket) // the kernel accepts the connection; no process responds
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // the error does not matter
	client := NewClient(socket)
	client.http.Timeout = 50 * time.Millisecond
	_, err = client.Status(t.Context())
	if !errors.Is(err, ErrNoAnswer) || !strings.Contains(err.Error(), socket) || strings.Contains(err.Error(), "Client.Timeout") {
		t.Errorf("got error %v", err)
	}
}

func TestDirectorThatStopsDuringRequestIsReportedAsRestarting(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "api.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		conn, err := l.Accept()
		if err == nil {
			_, _ = conn.Read(make([]byte, 4096))
			_ = conn.Close()
		}
		_ = l.Close()
	}()
	_, err = NewClient(socket).Reload(t.Context())
	<-ended
	if err == nil || !strings.Contains(err.Error(), "try again") {
		t.Errorf("got error %v", err)
	}
}

// TestClientAwaitsTheNextDirector: a request that finds no director waits for the next, and one that only reads is repeated if it
// was cut off, also in the middle of its answer.
func TestClientAwaitsTheNextDirector(t *testing.T) {
	for _, tt := range []struct {
		name    string
		before  string // what the first director writes before it ends; empty: there is none
		reload  bool
		refused error
	}{
		{name: "status without a director"},
		{name: "reload without a director", reload: true},
		{name: "status, cut before the answer", before: "HTTP/1.1 200 OK\r\n"},
		{name: "status, cut in the answer", before: "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{\"node\": \"old\", \"problems\": [{\"what\": "},
		{name: "reload, cut before the answer", before: "HTTP/1.1 200 OK\r\n", reload: true, refused: errCut},
	} {
		t.Run(tt.name, func(t *testing.T) {
			socket := filepath.Join(t.TempDir(), "api.sock")
			next := func() {
				ctx, cancel := context.WithCancel(context.Background())
				l := Listen(ctx, socket, &fakeDirector{status: Status{Node: "lb1"}}, nil, Kept{}, unreported, slog.New(slog.DiscardHandler))
				t.Cleanup(func() { cancel(); l.Wait() })
			}
			if tt.before != "" {
				first, err := net.Listen("unix", socket)
				if err != nil {
					t.Fatal(err)
				}
				go func() {
					conn, err := first.Accept()
					_ = first.Close()
					if err == nil {
						_, _ = conn.Read(make([]byte, 4096))
						_, _ = conn.Write([]byte(tt.before))
						_ = conn.Close()
					}
				}()
			}
			client, once := NewClient(socket), sync.OnceFunc(next)
			client.Expected = func() bool { once(); return true }
			var err error
			if tt.reload {
				_, err = client.Reload(t.Context())
			} else {
				var s Status
				if s, err = client.Status(t.Context()); s.Node != "lb1" || len(s.Problems) > 0 {
					t.Errorf("got %+v", s)
				}
			}
			if !errors.Is(err, tt.refused) {
				t.Errorf("got error %v, want %v", err, tt.refused)
			}
		})
	}
}

func TestSocketIsCreatedWithItsDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	ctx, cancel := context.WithCancel(t.Context())
	said := make(chan string, 8)
	l := Listen(ctx, filepath.Join(dir, "api.sock"), &fakeDirector{status: Status{Node: "lb1"}}, nil, Kept{}, unreported, slog.New(slog.NewTextHandler(words(said), nil)))
	defer l.Wait()
	defer cancel()
	if line := <-said; !strings.Contains(line, "no such file or directory") {
		t.Errorf("it says %q", line)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	awaitAnswer(t, filepath.Join(dir, "api.sock"))
}

func TestDeletedSocketIsRecreated(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "api.sock")
	d := &heldDirector{asked: make(chan struct{}), answer: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	said := make(chan string, 8)
	l := Listen(ctx, path, d, nil, Kept{}, unreported, slog.New(slog.NewTextHandler(words(said), nil)))
	defer l.Wait()
	defer cancel()
	reloaded := make(chan error, 1)
	go func() { _, err := NewClient(path).Reload(t.Context()); reloaded <- err }()
	<-d.asked
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if line := <-said; !strings.Contains(line, errDeleted.Error()) {
		t.Errorf("it says %q", line)
	}
	close(d.answer)
	if err := <-reloaded; err != nil {
		t.Errorf("a request that was under way: %v", err)
	}
	awaitAnswer(t, path)
}

// heldDirector completes a reload when the test allows it.
type heldDirector struct {
	fakeDirector
	asked, answer chan struct{}
}

func (d *heldDirector) Survey(context.Context) (Status, iter.Seq[*Service], error) {
	return Status{Node: "lb1"}, each(Status{}), nil
}

func (d *heldDirector) Reload(context.Context) (Reloaded, error) {
	close(d.asked)
	<-d.answer
	return Reloaded{}, nil
}

// awaitAnswer waits until lb1 responds on a socket.
func awaitAnswer(t *testing.T, path string) {
	t.Helper()
	client, deadline := NewClient(path), time.After(10*time.Second)
	for {
		s, err := client.Status(t.Context())
		if err == nil && s.Node == "lb1" {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("still %v", err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// words sends the output of a logger to a channel.
type words chan<- string

func (w words) Write(line []byte) (int, error) {
	w <- string(line)
	return len(line), nil
}
