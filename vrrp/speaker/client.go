package speaker

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/wallclock"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// ClientOptions configure a Client.
type ClientOptions struct {
	Path      string                         // of the speaker's Unix socket
	Statuses  func([]vrrp.Status)            // called with changed statuses, and with all statuses after connecting
	Counters  func(map[string]vrrp.Counters) // called for a Report, by name, for instances that are not in Statuses; may keep the map
	Static    func([]string)                 // called with what the kernel refuses of the static configuration, after connecting and when it changes; nil: ignored
	Connected func(bool)                     // called when the connection is established and when it is lost
	// Transitions is called with all transitions, each once and in order, and before Statuses is called with the
	// resulting states. It first receives the transitions in the speaker's history.
	Transitions func([]vrrp.Transition)
	Logger      *slog.Logger
}

// Client is the director's side of the connection to the speaker. It reconnects when the speaker restarts, and then sends
// the complete wanted state again.
type Client struct {
	ClientOptions
	dial func(ctx context.Context) (net.Conn, error)
	wake wakeup

	mu      sync.Mutex
	wanted  *vrrp.Wanted
	unsent  bool
	asking  bool
	all     bool // with asking
	alive   bool
	after   *vrrp.Position  // to be sent
	waiting []chan struct{} // closed when the report has arrived
	figures vrrp.Figures

	heard vrrp.Position // the last transition; used only by the receiving goroutine
}

// Back-off between connection attempts. A killed speaker is replaced within a few milliseconds, and with 100 ms adverts
// its peers wait only 300 ms.
const (
	connectRetryFirst  = 5 * time.Millisecond
	connectRetryMost   = 250 * time.Millisecond
	clientWriteTimeout = 2 * time.Second
)

// NewClient returns a client; call Run to connect it.
func NewClient(o ClientOptions) *Client {
	return &Client{
		ClientOptions: o,
		wake:          newWakeup(),
		dial: func(ctx context.Context) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", o.Path)
		},
	}
}

// Set sends the speaker a new wanted state, immediately or once it is connected.
func (c *Client) Set(w vrrp.Wanted) {
	w.Instances = slices.Clone(w.Instances)
	c.mu.Lock()
	c.wanted, c.unsent = &w, true
	c.mu.Unlock()
	c.wake.notify()
}

// Alive sends the speaker a sign of life. It must be called from the loop that could hang, more often than
// directorSilence.
func (c *Client) Alive() {
	c.mu.Lock()
	c.alive = true
	c.mu.Unlock()
	c.wake.notify()
}

// Report requests current counters of all instances, with their statuses if all is set, and returns after Counters and Statuses have been
// called with them.
func (c *Client) Report(ctx context.Context, all bool) error {
	told := make(chan struct{})
	c.mu.Lock()
	c.waiting = append(c.waiting, told)
	c.asking, c.all = true, c.all || all
	c.mu.Unlock()
	c.wake.notify()
	select {
	case <-told:
		return nil
	case <-ctx.Done():
		c.mu.Lock()
		c.waiting = slices.DeleteFunc(c.waiting, func(x chan struct{}) bool { return x == told })
		c.mu.Unlock()
		return fmt.Errorf("request a report from the speaker: %w", context.Cause(ctx))
	}
}

// Run maintains the connection until ctx ends.
func (c *Client) Run(ctx context.Context) {
	wait, complained := connectRetryFirst, false
	for ctx.Err() == nil {
		conn, err := c.dial(ctx)
		if err != nil {
			if !complained && ctx.Err() == nil {
				complained = true
				c.Logger.Warn("cannot reach the speaker; retrying", "path", c.Path, "error", err)
			}
			pause(ctx, wait)
			wait = min(2*wait, connectRetryMost)
			continue
		}
		wait, complained = connectRetryFirst, false
		err = c.talk(ctx, conn)
		if ctx.Err() == nil {
			c.Logger.Info("connection to the speaker lost; reconnecting", "error", err)
		}
	}
}

// talk uses one connection until it fails or ctx ends.
func (c *Client) talk(ctx context.Context, conn net.Conn) error {
	c.mu.Lock()
	c.unsent, c.asking = c.wanted != nil, len(c.waiting) > 0
	after := c.heard
	c.after = &after
	c.mu.Unlock()
	c.wake.notify()
	failed := make(chan error, 1)
	var wg sync.WaitGroup
	wg.Go(func() { failed <- c.listen(conn) })
	defer wg.Wait()
	defer conn.Close()

	out := json.NewEncoder(conn)
	for {
		for {
			o, ok := c.next()
			if !ok {
				break
			}
			if err := conn.SetWriteDeadline(time.Now().Add(clientWriteTimeout)); err != nil {
				return err
			}
			if err := out.Encode(o); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case err := <-failed:
			return err
		case <-c.wake:
		}
	}
}

// next returns the next order to send, if there is one.
func (c *Client) next() (order, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var o order
	if c.unsent {
		o.Wanted = c.wanted
	}
	o.Report, o.Counts, o.After = c.asking, c.asking && !c.all, c.after
	ok := c.unsent || c.asking || c.alive || c.after != nil
	c.unsent, c.asking, c.all, c.alive, c.after = false, false, false, false, nil
	return o, ok
}

func (c *Client) listen(conn net.Conn) error {
	in := &messageReader{from: conn}
	for heard := false; ; heard = true {
		var n news
		if err := in.read(&n); err != nil {
			return fmt.Errorf("read from the speaker: %w", err)
		}
		if !heard {
			// Not earlier: while no speaker runs, the parent's socket accepts connections that no process serves yet.
			c.Connected(true)
			defer c.Connected(false)
		}
		now := time.Now()
		for i := range n.Statuses {
			n.Statuses[i].Since = wallclock.Import(n.Statuses[i].Since, now)
			for j := range n.Statuses[i].Tracks {
				t := &n.Statuses[i].Tracks[j]
				t.Since = wallclock.Import(t.Since, now)
			}
		}
		if len(n.Transitions) > 0 {
			for i := range n.Transitions {
				n.Transitions[i].Time = wallclock.Import(n.Transitions[i].Time, now)
			}
			c.heard = n.Transitions[len(n.Transitions)-1].Position()
			c.Transitions(n.Transitions)
		}
		if len(n.Statuses) > 0 {
			c.Statuses(n.Statuses)
		}
		if len(n.Counters) > 0 {
			c.Counters(n.Counters)
		}
		if n.Static != nil && c.Static != nil {
			c.Static(*n.Static)
		}
		if n.Report {
			c.reported(n.Figures)
		}
	}
}

// Figures returns those of the last report.
func (c *Client) Figures() vrrp.Figures {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.figures
}

func (c *Client) reported(f *vrrp.Figures) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f != nil {
		c.figures = *f
	}
	for _, told := range c.waiting {
		close(told)
	}
	c.waiting = nil
}
