package beside

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/lab"
)

const (
	servicePort     = 80
	requestEvery    = time.Millisecond
	requestDeadline = time.Second
	// A request fails if a segment of it has no reply for replyDeadline, which is shorter than any retransmission by TCP.
	replyDeadline   = 150 * time.Millisecond
	heldConnections = 20
	heldPause       = 5 * time.Millisecond
	heldDeadline    = 5 * time.Second
)

// client sends requests to virtual addresses, each over a new connection, one every millisecond to each address, and holds
// connections open. All times are those of the frames on its interface, since the client itself may be delayed.
type client struct {
	tb      testing.TB
	node    *lab.Node
	capture *lab.Capture
	cancel  context.CancelFunc
	wg      sync.WaitGroup

	broken atomic.Int64 // held connections

	mu     sync.Mutex
	latest time.Time // of the frames taken: on a busy host, those on the wire are taken much later
	seen   losses
	waits  map[netip.Addr]*wait
	asked  map[uint16]time.Time // when the first segment without a reply was sent, by the client's port
}

// wait is the time for which an address has been asked without an answer.
type wait struct {
	since   time.Time // of the first request after the last answer; zero if there was none
	longest time.Duration
}

// serve answers each line with the same line.
func serve(ln net.Listener) {
	for {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			_, _ = io.Copy(conn, conn)
		}()
	}
}

func startClient(tb testing.TB, node *lab.Node, addresses ...netip.Addr) *client {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	c := &client{tb: tb, node: node, cancel: cancel, waits: map[netip.Addr]*wait{}, asked: map[uint16]time.Time{}}
	for _, a := range addresses {
		c.waits[a] = &wait{}
	}
	var err error
	if c.capture, err = node.Follow("eth0", lab.Filter{Protocols: []uint8{lab.ProtocolTCP}}, c.take); err != nil {
		tb.Fatal(err)
	}
	for i := range heldConnections {
		conn, err := node.DialContext(ctx, "tcp", netip.AddrPortFrom(addresses[i%len(addresses)], servicePort).String())
		if err != nil {
			tb.Fatalf("connect to %s: %v", addresses[0], err)
		}
		c.wg.Go(func() { c.hold(ctx, conn) })
	}
	for a := range c.waits {
		c.wg.Go(func() { c.ask(ctx, a) })
	}
	return c
}

func (c *client) stop() {
	c.cancel()
	c.wg.Wait()
	_ = c.capture.Stop()
}

// ask sends requests at a fixed rate.
func (c *client) ask(ctx context.Context, to netip.Addr) {
	tick := time.NewTicker(requestEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			c.wg.Go(func() { c.request(ctx, to) })
		case <-ctx.Done():
			return
		}
	}
}

func (c *client) request(ctx context.Context, to netip.Addr) {
	deadline, cancel := context.WithTimeout(ctx, requestDeadline)
	defer cancel()
	conn, err := c.node.DialContext(deadline, "tcp", netip.AddrPortFrom(to, servicePort).String())
	if err == nil {
		end, _ := deadline.Deadline()
		_ = conn.SetDeadline(end)
		_ = exchange(conn)                   // what is lost is seen on the interface
		_ = conn.(*net.TCPConn).SetLinger(0) // without TIME_WAIT, which would use up the ports
		_ = conn.Close()
	}
}

// hold exchanges a byte over an open connection until the client stops.
func (c *client) hold(ctx context.Context, conn net.Conn) {
	defer conn.Close()
	for ctx.Err() == nil {
		_ = conn.SetDeadline(time.Now().Add(heldDeadline))
		if err := exchange(conn); err != nil {
			c.broken.Add(1)
			return
		}
		<-time.After(heldPause)
	}
}

func exchange(conn net.Conn) error {
	var b [1]byte
	if _, err := conn.Write([]byte("x")); err != nil {
		return err
	}
	_, err := io.ReadFull(conn, b[:])
	return err
}

// take notes the requests, their replies and resets.
func (c *client) take(f lab.Frame) {
	const ip, tcp = 14, 14 + 20
	if len(f.Data) < tcp+20 || binary.BigEndian.Uint16(f.Data[12:]) != lab.EtherTypeIPv4 {
		return
	}
	s := segment{
		at: f.Time, to: netip.AddrFrom4([4]byte(f.Data[ip+12:])), port: binary.BigEndian.Uint16(f.Data[tcp+2:]),
		flags: f.Data[tcp+13], payload: int(binary.BigEndian.Uint16(f.Data[ip+2:])) - 20 - int(f.Data[tcp+12]>>4)*4,
	}
	if f.Outgoing {
		s.to, s.port = netip.AddrFrom4([4]byte(f.Data[ip+16:])), binary.BigEndian.Uint16(f.Data[tcp:])
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.latest = s.at
	w := c.waits[s.to]
	switch {
	case w == nil:
	case f.Outgoing:
		c.sent(w, s)
	default:
		c.received(w, s)
	}
}

// segment is one of a connection between the client's port and an address.
type segment struct {
	at      time.Time
	to      netip.Addr
	port    uint16
	flags   byte
	payload int
}

const flagSYN, flagRST = 0x02, 0x04

func (c *client) sent(w *wait, s segment) {
	syn := s.flags&flagSYN != 0
	asked := c.asked[s.port]
	switch {
	case syn && asked.IsZero():
		c.seen.requests++
		if w.since.IsZero() {
			w.since = s.at
		}
		c.asked[s.port] = s.at
	case s.payload > 0 && asked.IsZero():
		c.asked[s.port] = s.at
	case s.flags&flagRST != 0 && !asked.IsZero(): // the client has given up
		c.seen.failed++
		delete(c.asked, s.port)
	}
}

func (c *client) received(w *wait, s segment) {
	if asked, ok := c.asked[s.port]; ok {
		if s.at.Sub(asked) > replyDeadline {
			c.seen.failed++
		}
		delete(c.asked, s.port)
	}
	if s.flags&flagRST != 0 {
		c.seen.resets++
		return
	}
	// The server's retransmissions of earlier answers may still arrive through a router that takes no more requests.
	if s.flags&flagSYN != 0 && !w.since.IsZero() {
		w.longest = max(w.longest, s.at.Sub(w.since))
		w.since = time.Time{}
	}
}

// losses are what a client noticed.
type losses struct {
	requests, failed, resets, broken int64
	gap                              time.Duration // the longest time for which requests were not answered
}

func (l losses) add(m losses) losses {
	return losses{l.requests + m.requests, l.failed + m.failed, l.resets + m.resets, l.broken + m.broken, max(l.gap, m.gap)}
}

func (l losses) String() string {
	return fmt.Sprintf("%d of %d, %d, %s", l.failed, l.requests, l.resets+l.broken, milliseconds(l.gap))
}

// since returns the losses since the last call. Requests that had no reply in time count as failed; the others count later.
func (c *client) since() losses {
	c.mu.Lock()
	defer c.mu.Unlock()
	for port, asked := range c.asked {
		if c.latest.Sub(asked) > replyDeadline {
			c.seen.failed++
			delete(c.asked, port)
		}
	}
	l := c.seen
	l.broken = c.broken.Swap(0)
	c.seen = losses{}
	for _, w := range c.waits {
		l.gap = max(l.gap, w.longest)
		if !w.since.IsZero() {
			l.gap = max(l.gap, c.latest.Sub(w.since))
		}
		w.longest = 0
	}
	return l
}
