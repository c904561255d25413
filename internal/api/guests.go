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

// At most so many connections are open at once, and an eighth of the open files that the process may have: checks use
// half of those, and the rest is for IPVS, files and scripts.
const (
	maxConnections  = 64
	shareOfOpenFile = 8
)

// idleTimeout is how long a connection may wait before its next request.
const idleTimeout = 5 * time.Second

func connectionLimit() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return maxConnections
	}
	return int(max(1, min(limit.Cur/shareOfOpenFile, maxConnections)))
}

// guests bounds a server's connections. One that comes when there are too many takes the place of the one that has
// waited longest without a request. If all have one, the new one is turned away with a word.
type guests struct {
	net.Listener
	most     int
	refusals chan struct{} // one for each refused connection that is open

	mu      sync.Mutex
	open    map[net.Conn]bool // whether a request is being answered
	waiting []net.Conn        // without a request, the longest first
}

func newGuests(l net.Listener, most int) *guests {
	return &guests{Listener: l, most: most, open: map[net.Conn]bool{}, refusals: make(chan struct{}, maxRefusals)}
}

// Accept waits for a connection that there is room for.
func (g *guests) Accept() (net.Conn, error) {
	for {
		conn, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if g.admit(conn) {
			return conn, nil
		}
		g.turnAway(conn)
	}
}

func (g *guests) admit(conn net.Conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.open) >= g.most {
		if len(g.waiting) == 0 {
			return false
		}
		g.remove(g.waiting[0])
	}
	g.open[conn] = false
	g.waiting = append(g.waiting, conn)
	return true
}

// remove closes a connection that waits. Its server notices.
func (g *guests) remove(conn net.Conn) {
	g.forget(conn)
	conn.Close()
}

func (g *guests) forget(conn net.Conn) {
	delete(g.open, conn)
	g.waiting = slices.DeleteFunc(g.waiting, func(c net.Conn) bool { return c == conn })
}

// changed follows a server's connections.
func (g *guests) changed(conn net.Conn, state http.ConnState) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, open := g.open[conn]; !open {
		return // made way for another one
	}
	switch state {
	case http.StateActive:
		g.forget(conn)
		g.open[conn] = true
	case http.StateIdle:
		g.forget(conn)
		g.open[conn] = false
		g.waiting = append(g.waiting, conn)
	case http.StateClosed, http.StateHijacked:
		g.forget(conn)
	}
}

var errTooMany = errors.New("too many connections to the API")

// refusing is how long a connection that is refused may take to send its request.
const refusing = time.Second

// maxRefusals bounds the refused connections that are open at once. A further one is closed without an answer.
const maxRefusals = 8

// turnAway answers a connection with 503, whatever it asks. It reads the request too: the kernel resets a connection that
// is closed with unread data, and the client would not see the answer.
func (g *guests) turnAway(conn net.Conn) {
	select {
	case g.refusals <- struct{}{}:
	default:
		conn.Close()
		return
	}
	go func() {
		defer func() { conn.Close(); <-g.refusals }()
		body, err := json.Marshal(failure{Error: fmt.Sprintf("%v: %d requests are being answered; try again", errTooMany, g.most)})
		if err != nil {
			return
		}
		_ = conn.SetDeadline(time.Now().Add(refusing))
		_, _ = fmt.Fprintf(conn, "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
			len(body), body)
		_, _ = io.Copy(io.Discard, conn) // until the client closes
	}()
}
