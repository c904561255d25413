package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Limits on open connections: maxConnections, and an eighth of the process's limit of open files. Checks use half of
// that limit; the rest is for IPVS and files.
const (
	maxConnections  = 64
	shareOfOpenFile = 8
)

// idleTimeout is how long a connection may stay idle between requests.
const idleTimeout = 5 * time.Second

func connectionLimit() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return maxConnections
	}
	return int(max(1, min(limit.Cur/shareOfOpenFile, maxConnections)))
}

// limiter limits a server's connections. When the limit is reached, a new connection replaces the one that has been idle
// longest. If none is idle, the new one is refused with status 503.
type limiter struct {
	net.Listener
	most     int
	refusals chan struct{} // one for each refused connection that is open

	mu      sync.Mutex
	open    map[net.Conn]bool // whether a request is being served
	waiting []net.Conn        // without a request, longest-idle first
}

func newLimiter(l net.Listener, most int) *limiter {
	return &limiter{Listener: l, most: most, open: map[net.Conn]bool{}, refusals: make(chan struct{}, maxRefusals)}
}

// Accept returns the next connection that is within the limit.
func (l *limiter) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.admit(conn) {
			return conn, nil
		}
		l.refuse(conn)
	}
}

func (l *limiter) admit(conn net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.open) >= l.most {
		if len(l.waiting) == 0 {
			return false
		}
		l.remove(l.waiting[0])
	}
	l.open[conn] = false
	l.waiting = append(l.waiting, conn)
	return true
}

// remove closes an idle connection. The server detects that.
func (l *limiter) remove(conn net.Conn) {
	l.forget(conn)
	conn.Close()
}

func (l *limiter) forget(conn net.Conn) {
	delete(l.open, conn)
	l.waiting = slices.DeleteFunc(l.waiting, func(c net.Conn) bool { return c == conn })
}

// changed is the server's ConnState hook.
func (l *limiter) changed(conn net.Conn, state http.ConnState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, open := l.open[conn]; !open {
		return // has been replaced
	}
	switch state {
	case http.StateActive:
		l.forget(conn)
		l.open[conn] = true
	case http.StateIdle:
		l.forget(conn)
		l.open[conn] = false
		l.waiting = append(l.waiting, conn)
	case http.StateClosed, http.StateHijacked:
		l.forget(conn)
	}
}

var errTooMany = errors.New("too many connections to the API")

// refusing is how long a refused connection may take to send its request.
const refusing = time.Second

// maxRefusals bounds the concurrent refused connections. Further ones are closed without a response.
const maxRefusals = 8

// refuse responds to any request with status 503. It waits for the request, since a client takes an earlier response for an
// error, and reads it to the end: the kernel resets a connection that is closed with unread data, and the client would not
// receive the response.
func (l *limiter) refuse(conn net.Conn) {
	select {
	case l.refusals <- struct{}{}:
	default:
		conn.Close()
		return
	}
	go func() {
		defer func() { conn.Close(); <-l.refusals }()
		body, err := json.Marshal(failure{Error: fmt.Sprintf("%v: %d requests in progress; try again", errTooMany, l.most)})
		if err != nil {
			return
		}
		_ = conn.SetDeadline(time.Now().Add(refusing))
		if _, err := conn.Read(make([]byte, 1)); err != nil {
			return
		}
		_, _ = fmt.Fprintf(conn, "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
			len(body), body)
		_, _ = io.Copy(io.Discard, conn) // until the client closes
	}()
}
