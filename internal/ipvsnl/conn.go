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

// A Dialer opens a generic netlink socket.
type Dialer func() (*netlink.Conn, error)

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

// socket is a netlink socket with the family's number resolved on it.
type socket struct {
	nl     *netlink.Conn
	raw    syscall.RawConn // nil in tests
	family uint16
	buffer []byte // for lists
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
	if err := c.exchange(ctx, func(*socket) error { return nil }); err != nil {
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
		err = errors.Join(err, sock.nl.Close())
	}
	return err
}

// exchange runs talk when it is its turn, and waits no longer than ctx and patience allow. A system call that hangs
// in the kernel keeps the turn, so that no more than one thread can be lost to it.
func (c *Conn) exchange(ctx context.Context, talk func(*socket) error) error {
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
func (c *Conn) talk(ctx context.Context, sock *socket, fn func(*socket) error) error {
	deadline, _ := ctx.Deadline()
	// Sockets of tests have no deadline; the context bounds the wait in any case.
	_ = sock.nl.SetDeadline(deadline)
	var err error
	if sock.family == 0 {
		sock.family, err = resolve(ctx, sock.nl)
	}
	if err == nil {
		err = fn(sock)
	}
	if err != nil && !answered(err) {
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
	nl, err := c.dial()
	if err != nil {
		return nil, fmt.Errorf("opening a generic netlink socket: %w", err)
	}
	c.sock = &socket{nl: nl}
	c.sock.raw, _ = nl.SyscallConn() // a socket of tests has none
	return c.sock, nil
}

func (c *Conn) drop(sock *socket) {
	c.mu.Lock()
	if c.sock == sock {
		c.sock = nil
	}
	c.mu.Unlock()
	_ = sock.nl.Close() // it is being given up
}

// answered reports whether err is the kernel's answer to a request, after which the socket is in order.
func answered(err error) bool {
	if errors.Is(err, ErrDumpInterrupted) {
		return true // the list was read to its end
	}
	op, ok := errors.AsType[*netlink.OpError](err)
	return ok && op.Sequence != 0
}
