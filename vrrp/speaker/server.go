package speaker

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

const (
	// directorWriteTimeout is how long a director may leave its connection unread before it is disconnected.
	directorWriteTimeout = 2 * time.Second

	acceptRetry = 100 * time.Millisecond
)

// server communicates with the director. It never blocks the engine: statuses that a director has not read yet are replaced
// by newer ones.
type server struct {
	log     *slog.Logger
	ordered func(c *directorConn, o order) // called with each line
	arrived func(c *directorConn)          // called when a director connects; it replaces any earlier one
	left    func()                         // called when the latest director disconnects
	history *history

	mu      sync.Mutex
	current *directorConn
}

// serve accepts directors until the listener is closed.
func (s *server) serve(ctx context.Context, l net.Listener) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	defer s.replace(nil)
	for {
		conn, err := l.Accept()
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		case err != nil:
			s.log.Warn("director not accepted", "error", err)
			pause(ctx, acceptRetry)
			continue
		}
		c := newDirectorConn(conn, s.history)
		s.log.Info("director connected")
		s.replace(c)
		s.arrived(c)
		wg.Go(func() { c.write(s.log) })
		wg.Go(func() { s.read(c) })
	}
}

// replace makes c the current connection and closes the one before it.
func (s *server) replace(c *directorConn) {
	s.mu.Lock()
	former := s.current
	s.current = c
	s.mu.Unlock()
	if former != nil {
		former.close()
	}
}

func (s *server) read(c *directorConn) {
	defer c.close()
	in := &messageReader{from: c.conn}
	for {
		var o order
		err := in.read(&o)
		if err == nil {
			if s.isCurrent(c) {
				c.follow(o.After)
				s.ordered(c, o)
			}
			continue
		}
		if s.forget(c) {
			// At a stop, an upgrade and a crash, of which only the last is a fault, which the parent logs.
			if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
				s.log.Info("director disconnected")
			} else {
				s.log.Warn("director disconnected", "error", err)
			}
			s.left()
		}
		return
	}
}

// forget clears the current connection if it is c, and reports whether it was.
func (s *server) forget(c *directorConn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current != c {
		return false
	}
	s.current = nil
	return true
}

func (s *server) isCurrent(c *directorConn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current == c
}

// publish sends statuses to the director, if there is one.
func (s *server) publish(statuses []vrrp.Status) { s.send(news{Statuses: statuses}) }

// publishStatic sends what the kernel refuses of the static configuration to the director, if there is one.
func (s *server) publishStatic(refused []string) { s.send(news{Static: &refused}) }

func (s *server) send(n news) {
	s.mu.Lock()
	c := s.current
	s.mu.Unlock()
	if c != nil {
		c.put(n)
	}
}

// finish closes the connection when everything has been sent, or after the timeout.
func (s *server) finish(timeout time.Duration) {
	s.mu.Lock()
	c := s.current
	s.current = nil
	s.mu.Unlock()
	if c == nil {
		return
	}
	close(c.finish)
	select {
	case <-c.done:
	case <-time.After(timeout):
		c.close()
	}
}

// directorConn is a connection to a director, with its unsent data.
type directorConn struct {
	conn    net.Conn
	history *history
	wake    wakeup
	once    sync.Once
	done    chan struct{}

	finish chan struct{} // closed when no more data will follow
	asked  atomic.Bool   // a report is pending
	all    atomic.Bool   // it is to have all statuses

	mu      sync.Mutex
	order   []string // names, in the order of their first change
	waiting map[string]vrrp.Status
	counts  map[string]vrrp.Counters // of instances whose status is not waiting
	static  *[]string
	report  bool
	figures *vrrp.Figures
	due     bool           // a line is due, even an empty one
	after   *vrrp.Position // position of the last transition sent; nil until the director has sent its position
}

func newDirectorConn(conn net.Conn, h *history) *directorConn {
	return &directorConn{
		conn: conn, history: h, wake: newWakeup(), done: make(chan struct{}), finish: make(chan struct{}),
		waiting: map[string]vrrp.Status{},
	}
}

func (c *directorConn) close() {
	c.once.Do(func() {
		close(c.done)
		c.conn.Close()
	})
}

// put queues a line, which may be combined with others.
func (c *directorConn) put(n news) {
	c.mu.Lock()
	for _, s := range n.Statuses {
		if _, ok := c.waiting[s.Name]; !ok {
			c.order = append(c.order, s.Name)
		}
		c.waiting[s.Name] = s
		delete(c.counts, s.Name)
	}
	if n.Counters != nil {
		for name, s := range c.waiting {
			if counts, newer := n.Counters[name]; newer {
				s.Counters = counts
				c.waiting[name] = s
				delete(n.Counters, name)
			}
		}
		c.counts = n.Counters
	}
	if n.Static != nil {
		c.static = n.Static
	}
	if n.Figures != nil {
		c.figures = n.Figures
	}
	c.report = c.report || n.Report
	c.due = true
	c.mu.Unlock()
	c.wake.notify()
}

// follow starts to send transitions.
func (c *directorConn) follow(after *vrrp.Position) {
	if after == nil {
		return
	}
	c.mu.Lock()
	c.after = after
	c.mu.Unlock()
	c.wake.notify()
}

func (c *directorConn) take() (n news, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.after != nil {
		if n.Transitions = c.history.after(*c.after, time.Now()); n.Transitions != nil {
			*c.after = n.Transitions[len(n.Transitions)-1].Position()
		}
	}
	if !c.due && n.Transitions == nil {
		return news{}, false
	}
	n.Static, c.static = c.static, nil
	n.Figures, c.figures = c.figures, nil
	n.Counters, c.counts = c.counts, nil
	n.Report, n.Statuses = c.report, make([]vrrp.Status, 0, len(c.order))
	for _, name := range c.order {
		n.Statuses = append(n.Statuses, c.waiting[name])
	}
	c.order, c.report, c.due = nil, false, false
	clear(c.waiting)
	return n, true
}

// write sends queued data until the connection is closed.
func (c *directorConn) write(log *slog.Logger) {
	defer c.close()
	for last := false; !last; {
		select {
		case <-c.done:
			return
		case <-c.wake:
		case <-c.finish:
			last = true
		}
		for n, ok := c.take(); ok; n, ok = c.take() {
			err := c.send(n)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				log.Warn("director does not read status updates; disconnecting it", "error", err)
			}
			if err != nil {
				return // a director that has ended is logged by who reads from it
			}
		}
	}
}

func (c *directorConn) send(n news) error {
	if err := c.conn.SetWriteDeadline(time.Now().Add(directorWriteTimeout)); err != nil {
		return err
	}
	return json.NewEncoder(c.conn).Encode(n)
}
