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

// patience bounds one exchange with the kernel where the caller's context has no earlier deadline. It is long because a
// new service may first load its scheduler's module.
const patience = 10 * time.Second

// ErrClosed is returned by every call on a closed connection.
var ErrClosed = errors.New("the ipvs netlink connection is closed")

// A Transport is a socket of NETLINK_GENERIC. Neither call waits for the kernel to answer: it carries requests out within
// Send.
type Transport = interface {
	Send(datagram []byte) error
	Receive(buffer []byte) (int, error) // the next datagram; EAGAIN where there is none
	Close() error
}

// A Dialer opens a socket.
type Dialer func() (Transport, error)

// Conn is a connection to the family. It is safe for concurrent use; exchanges happen one after the other. A socket that
// lost an answer is replaced at the next call.
type Conn struct {
	dial    Dialer
	release func() error
	turn    chan struct{} // holds one token: whoever takes it may talk

	mu     sync.Mutex // guards what follows against Close
	sock   *socket
	closed bool
}

// Open connects to the family in the network namespace of the calling thread. If the kernel does not have the family,
// Open loads the module where that is permitted, or returns an error that wraps ErrNoIPVS.
func Open(ctx context.Context) (*Conn, error) {
	ns, err := currentNamespace()
	if err != nil {
		return nil, err
	}
	return open(ctx, ns.dial, ns.close)
}

// OpenWith connects over sockets that dial opens: one now, another one whenever an answer was lost.
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

// Close closes the connection and ends an exchange that is under way.
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

// A conversation is what is said on a socket during one turn.
type conversation func(ctx context.Context, s *socket) error

// prepare makes sure that there is a socket on which the family is resolved.
func (c *Conn) prepare(ctx context.Context) error {
	c.mu.Lock()
	ready := c.sock != nil && c.sock.resolved.Load()
	c.mu.Unlock()
	if ready {
		return nil
	}
	return c.read(ctx, func(context.Context, *socket) error { return nil })
}

// change runs talk once: whether a change whose answer was lost has been made is for the caller to find out.
func (c *Conn) change(ctx context.Context, talk conversation) error {
	if err := c.prepare(ctx); err != nil {
		return err
	}
	return c.exchange(ctx, talk)
}

// read runs talk until it is answered, a few times, on another socket where the first one lost an answer. It is for what
// changes nothing.
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

// exchange runs talk when it is its turn, and waits no longer than ctx and patience allow. A system call that hangs
// in the kernel keeps the turn, so that no more than one thread can be lost to it.
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

// talk resolves the family on a new socket, runs fn, and gives a socket up whose next answer would be in doubt.
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
		// Perhaps the family is gone: the module was removed, and may be back with another number.
		sock.resolved.Store(false)
	case err != nil && !answered(err):
		c.drop(sock)
	}
	return err
}

// socket returns the open socket, or a new one whose family is not resolved yet. It runs on the caller's thread, whose
// network namespace a new socket belongs to.
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
	_ = sock.transport.Close() // it is being given up
}

// answered reports whether err is the kernel's answer to a request, after which the socket is in order.
func answered(err error) bool {
	if errors.Is(err, ErrDumpInterrupted) {
		return true // the list was read to its end
	}
	op, ok := errors.AsType[*netlink.OpError](err)
	return ok && op.Sequence != 0
}
