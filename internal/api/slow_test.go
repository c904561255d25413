package api

import (
	"context"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// endless is a body that never ends, and counts what was read of it.
type endless struct {
	start *strings.Reader
	read  atomic.Int64
}

func (e *endless) Read(p []byte) (n int, err error) {
	if n, _ = e.start.Read(p); n == 0 {
		for i := range p {
			p[i] = 'a'
		}
		n = len(p)
	}
	e.read.Add(int64(n))
	return n, nil
}

// TestEndlessBodyIsRefused sends a request whose body has no end.
func TestEndlessBodyIsRefused(t *testing.T) {
	client, _ := served(t, &fakeDirector{})
	for _, path := range []string{"/v1/override", "/v1/failover", "/v1/confirm"} {
		body := &endless{start: strings.NewReader(`{"reason": "`)}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://lvs-ha"+path, body)
		if err != nil {
			t.Fatal(err)
		}
		// The server closes the connection after its answer, which a client that still writes may miss.
		if resp, err := client.http.Do(req); err == nil {
			if resp.StatusCode != http.StatusRequestEntityTooLarge {
				t.Errorf("%s: %s", path, resp.Status)
			}
			resp.Body.Close()
		}
		if n := body.read.Load(); n < maxNames || n > 8*maxNames {
			t.Errorf("%s: %d bytes were read", path, n)
		}
	}
}

// largeDirector has many services, and counts those that were made.
type largeDirector struct {
	fakeDirector
	made atomic.Int64
}

const largeServices = 2_000

func (d *largeDirector) Survey(context.Context) (Status, iter.Seq[*Service], error) {
	return Status{Node: "lb1"}, func(yield func(*Service) bool) {
		v := Service{Servers: []Server{{Reason: strings.Repeat("x", 1000)}}}
		for i := range largeServices {
			v.Name = fmt.Sprint(i)
			if d.made.Add(1); !yield(&v) {
				return
			}
		}
	}, nil
}

// TestSlowReaders: what clients do not read is not made, so that each costs the memory of a part of an answer.
func TestSlowReaders(t *testing.T) {
	d := &largeDirector{}
	client, socket := served(t, d)
	var slow []net.Conn
	for range maxConnections / 2 {
		c, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := io.WriteString(c, "GET /v1/status HTTP/1.1\r\nHost: lvs-ha\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		slow = append(slow, c)
	}
	for _, c := range slow { // each answer has begun
		if _, err := c.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	for before, still := int64(-1), 0; still < 10; { // until nothing more is made
		<-time.After(5 * time.Millisecond)
		if now := d.made.Load(); now != before {
			before, still = now, 0
		} else {
			still++
		}
	}
	if made := d.made.Load(); made > int64(len(slow))*largeServices/2 {
		t.Errorf("%d services were made for %d clients that do not read", made, len(slow))
	}
	if s, err := client.Status(t.Context()); err != nil || len(s.Services) != largeServices {
		t.Errorf("another client: %d services, %v", len(s.Services), err)
	}
}
