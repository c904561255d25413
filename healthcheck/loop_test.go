package healthcheck_test

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	. "github.com/lvs-ha/lvs-ha/healthcheck"
)

// TestLoopKeepsServersApart checks many servers again and again, over sockets that the loop uses for one after the other:
// each result is that of its own server, and no descriptor is left.
func TestLoopKeepsServersApart(t *testing.T) {
	servers := map[netip.AddrPort]string{
		serve(t, loopback, answering(response(200, "hello"))):                                                "status 200",
		serve(t, loopback, answering("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")): "status 200",
		serve(t, loopback, answering(response(503, ""))):                                                     "status 503, want 200-299",
		serve(t, loopback, answering("220 ready\r\n")):                                                       "protocol error while waiting for the response header",
		serve(t, loopback, answering("HTTP/1.1 200 OK\r\n\r\n"+strings.Repeat("x", 200<<10))):                "status 200",
		serve(t, loopback, answering("")):                                                                    "connection closed while waiting for the response header",
		serve(t, "[::1]:0", answering(response(404, ""))):                                                    "status 404, want 200-299",
		closedPort(t, loopback):                                                                              "connection refused",
		silent(t):                                                                                            "timeout after 200ms",
		serve(t, loopback, hold):                                                                             "timeout after 200ms while waiting for the response header",
		serve(t, loopback, inPieces(response(201, "in pieces"))):                                             "status 201",
	}
	before := openFiles(t)
	spec := httpSpec(nil)
	spec.Interval, spec.Timeout, spec.Rise, spec.Fall = 10*time.Millisecond, 200*time.Millisecond, 1, 1
	patient := spec
	patient.Timeout = 10 * time.Second // the test host may be busy
	var list []Target
	for server, want := range servers {
		if strings.HasPrefix(want, "timeout") {
			list = append(list, NewTarget(server.Addr(), server.Port(), spec))
		} else {
			list = append(list, NewTarget(server.Addr(), server.Port(), patient))
		}
	}
	const rounds = 5
	var mu sync.Mutex
	seen := map[netip.AddrPort]int{}
	finished := 0
	enough := make(chan struct{})
	s := NewScheduler(Options{Report: func(e Event) {
		mu.Lock()
		defer mu.Unlock()
		if want := servers[e.Target.Endpoint]; e.Result.Detail != want && !e.Stalled {
			t.Errorf("%v: %+v, want %q", e.Target.Endpoint, e.Result, want)
		}
		if seen[e.Target.Endpoint]++; seen[e.Target.Endpoint] == rounds {
			if finished++; finished == len(servers) {
				close(enough)
			}
		}
	}})
	update(t, s, list)
	stop := start(t, s)
	<-enough
	stop()
	wantEventually(t, func() error {
		if n := openFiles(t); n > before {
			return fmt.Errorf("%d open files, %d before", n, before)
		}
		return nil
	})
}

// inPieces responds byte by byte.
func inPieces(text string) func(net.Conn) {
	return func(c net.Conn) {
		if request(c) == nil {
			return
		}
		_ = c.(*net.TCPConn).SetNoDelay(true)
		for _, b := range []byte(text) {
			if _, err := c.Write([]byte{b}); err != nil {
				return
			}
			<-time.After(100 * time.Microsecond)
		}
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

// TestLoopCancels removes targets whose check waits for the connection, for the response, and for the rest of a long one, and
// then ends the scheduler in the middle of such checks: neither waits for a timeout.
func TestLoopCancels(t *testing.T) {
	var mu sync.Mutex
	closed := 0
	open := make(chan struct{}, 100)
	slow := func(c net.Conn) {
		if request(c) != nil {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\n"+strings.Repeat("x", 100<<10))
			open <- struct{}{}
			hold(c)
			mu.Lock()
			closed++
			mu.Unlock()
		}
	}
	mute := func(c net.Conn) {
		if request(c) != nil {
			open <- struct{}{}
			hold(c)
			mu.Lock()
			closed++
			mu.Unlock()
		}
	}
	spec := httpSpec(nil)
	spec.Interval, spec.Timeout = time.Hour, time.Hour
	var list []Target
	for _, server := range []netip.AddrPort{serve(t, loopback, slow), serve(t, loopback, mute), silent(t)} {
		list = append(list, NewTarget(server.Addr(), server.Port(), spec))
	}
	s := NewScheduler(Options{Report: func(e Event) { t.Errorf("a result: %+v", e) }})
	update(t, s, list)
	stop := start(t, s)
	<-open
	<-open
	update(t, s, nil)
	wantEventually(t, func() error {
		mu.Lock()
		defer mu.Unlock()
		if st := s.Stats(); closed != 2 || st.Running != 0 {
			return fmt.Errorf("%d connections closed, %+v", closed, st)
		}
		return nil
	})
	update(t, s, list)
	<-open
	<-open
	stop() // waits for the checks
}

// wantEventually tries until there is no error, for at most 30 s.
func wantEventually(t *testing.T, try func() error) {
	t.Helper()
	var err error
	for range 3000 {
		if err = try(); err == nil {
			return
		}
		<-time.After(10 * time.Millisecond)
	}
	t.Fatal(err)
}
