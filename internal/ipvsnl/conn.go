package ipvsnl

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"

	"github.com/mdlayher/netlink"
)

// patience limits one exchange with the kernel, if the context has no earlier deadline. It is long because adding a
// service may load its scheduler's module.
const patience = 10 * time.Second

// ErrClosed is returned by every call on a closed connection.
var ErrClosed = errors.New("the ipvs netlink connection is closed")

// A Transport is a NETLINK_GENERIC socket. Neither method waits for the kernel: it processes requests within Send.
type Transport = interface {
	Send(datagram []byte) error
	Receive(buffer []byte) (int, error) // the next datagram; EAGAIN if there is none
	Close() error
}

// A Dialer opens a socket.
type Dialer func() (Transport, error)

// Conn is a connection to the family. It is safe for concurrent use; exchanges are serialized. A socket that lost an
// answer is replaced by the next call.
type Conn struct {
	dial    Dialer
	release func() error
	turn    chan struct{} // contains one token: its owner may use the socket

	mu     sync.Mutex // protects the fields below against Close
	sock   *socket
	closed bool
}

// Open connects to the family in the network namespace of the calling thread. If the kernel does not have the family,
// Open loads the module if permitted, or returns an error that wraps ErrNoIPVS.
func Open(ctx context.Context) (*Conn, error) {
	ns, err := currentNamespace()
	if err != nil {
		return nil, err
	}
	return open(ctx, ns.dial, ns.close)
}

// OpenWith connects with sockets opened by dial: one now, and another whenever an answer was lost.
func OpenWith(ctx context.Context, dial Dialer) (*Conn, error) {
	return open(ctx, dial, func() error { return nil })
}

func open(ctx context.Context, dial Dialer, release func() error) (*Conn, error) {
	c := &Conn{dial: dial, release: release, turn: make(chan struct{}, 1)}
	c.turn <- struct{}{}
	if err := c.prepare(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// Close closes the connection and aborts a running exchange.
func (c *Conn) Close() error {
	c.mu.Lock()
	sock, closed := c.sock, c.closed
	c.sock, c.closed = nil, true
	c.mu.Unlock()
	if closed {
		return nil
	}
	err := c.release()
	if sock != nil {
		err = errors.Join(err, sock.transport.Close())
	}
	return err
}

// A conversation uses the socket during one turn.
type conversation func(ctx context.Context, s *socket) error

// prepare ensures that there is a socket with a resolved family.
func (c *Conn) prepare(ctx context.Context) error {
	c.mu.Lock()
	ready := c.sock != nil && c.sock.resolved.Load()
	c.mu.Unlock()
	if ready {
		return nil
	}
	return c.read(ctx, func(context.Context, *socket) error { return nil })
}

// change runs talk once: if the answer to a change is lost, the caller must find out whether it was made.
func (c *Conn) change(ctx context.Context, talk conversation) error {
	if err := c.prepare(ctx); err != nil {
		return err
	}
	return c.exchange(ctx, talk)
}

// read runs talk until it is answered, at most a few times, with another socket if the previous one lost an answer. It
// is for requests without effects.
func (c *Conn) read(ctx context.Context, talk conversation) error {
	wait := firstPause
	for attempt := 1; ; attempt++ {
		err := c.exchange(ctx, talk)
		if err == nil || attempt == readAttempts || !IsTransient(err) || errors.Is(err, ErrDumpInterrupted) || ctx.Err() != nil {
			return err
		}
		pause(ctx, wait)
		wait *= 2
	}
}

// exchange waits for its turn and runs talk, limited by ctx and patience. A system call that hangs in the kernel keeps
// the turn, so that at most one thread is blocked by it.
func (c *Conn) exchange(ctx context.Context, talk conversation) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case <-c.turn:
	case <-ctx.Done():
		return fmt.Errorf("waiting for the kernel to answer an earlier ipvs request: %w", context.Cause(ctx))
	}
	sock, err := c.socket()
	if err != nil {
		c.turn <- struct{}{}
		return err
	}
	done := make(chan error, 1)
	go func() {
		err := c.talk(ctx, sock, talk)
		c.turn <- struct{}{}
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("waiting for the kernel to answer an ipvs request: %w", context.Cause(ctx))
	}
}

// talk resolves the family on a new socket, runs fn, and closes a socket whose next answer would be ambiguous.
func (c *Conn) talk(ctx context.Context, sock *socket, fn conversation) error {
	var err error
	if !sock.resolved.Load() {
		err = sock.resolve(ctx)
	}
	if err == nil {
		err = fn(ctx, sock)
	}
	switch {
	case errors.Is(err, syscall.ENOENT):
		// The family may be gone: the module was removed, and may have been loaded again with another number.
		sock.resolved.Store(false)
	case err != nil && !answered(err):
		c.drop(sock)
	}
	return err
}

// socket returns the open socket, or a new one without resolved family. It runs on the caller's thread, which determines
// the network namespace of a new socket.
func (c *Conn) socket() (*socket, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, ErrClosed
	}
	if c.sock != nil {
		return c.sock, nil
	}
	transport, err := c.dial()
	if err != nil {
		return nil, &linkError{fmt.Errorf("opening a generic netlink socket: %w", err)}
	}
	c.sock = &socket{transport: transport}
	return c.sock, nil
}

func (c *Conn) drop(sock *socket) {
	c.mu.Lock()
	if c.sock == sock {
		c.sock = nil
	}
	c.mu.Unlock()
	_ = sock.transport.Close() // discarded
}

// answered reports whether err is the kernel's answer to a request, after which the socket is usable.
func answered(err error) bool {
	if errors.Is(err, ErrDumpInterrupted) {
		return true // the list was read to its end
	}
	op, ok := errors.AsType[*netlink.OpError](err)
	return ok && op.Sequence != 0
}
