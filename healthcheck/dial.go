package healthcheck

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// dialOptions are set on a socket before connecting.
type dialOptions struct {
	lateACK bool // send the handshake's last ACK with the first data: for protocols in which the client sends first
	reset   bool // close with RST
	source  Source
	network network
}

// network is the type of a socket; the zero value is TCP.
type network int

const (
	overTCP network = iota
	overUDP
	overICMP // of the address's family; the kernel makes sure that only answers to this socket's requests arrive (ping(7) sockets)
)

func (n network) socket(family int) (kind, protocol int) {
	switch {
	case n == overUDP:
		return unix.SOCK_DGRAM, 0
	case n == overICMP && family == unix.AF_INET6:
		return unix.SOCK_DGRAM, unix.IPPROTO_ICMPV6
	case n == overICMP:
		return unix.SOCK_DGRAM, unix.IPPROTO_ICMP
	}
	return unix.SOCK_STREAM, 0
}

// conn is a connection, possibly over UDP or ICMP, that is closed when the context it was dialled with ends.
//
// It is based on os.File instead of net.Dialer, which for each connection starts a goroutine to watch the context and
// requests names and options from the kernel that checks do not need: a fifth of the cost of a TCP check.
type conn struct {
	*os.File
	remote netip.AddrPort
	keep   func() // stops watching the context
}

// dial connects to a server.
func dial(ctx context.Context, server netip.AddrPort, o dialOptions) (*conn, error) {
	if server.Port() == 0 && o.network != overICMP {
		return nil, fmt.Errorf("no address and port to connect to: %s", server)
	}
	to, family, err := socketAddress(server)
	if err != nil {
		return nil, err
	}
	kind, protocol := o.network.socket(family)
	fd, err := unix.Socket(family, kind|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return nil, fmt.Errorf("open a socket: %w", err)
	}
	if err := o.set(fd); err != nil {
		return nil, errors.Join(fmt.Errorf("set socket options: %w", err), unix.Close(fd))
	}
	if err := o.source.bind(fd, family); err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	err = unix.Connect(fd, to)
	f := os.NewFile(uintptr(fd), "connection")
	c := &conn{File: f, remote: server, keep: cut(ctx, func() { _ = f.SetDeadline(time.Unix(0, 1)) })}
	if connectionInProgress(err) {
		err = c.connected(to)
	}
	if err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

func (o dialOptions) set(fd int) error {
	if o.lateACK {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_QUICKACK, 0); err != nil {
			return err
		}
	}
	if o.reset {
		return unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1, Linger: 0})
	}
	return nil
}

func connectionInProgress(err error) bool {
	return err == unix.EINPROGRESS || err == unix.EALREADY || err == unix.EINTR
}

// connected waits until a connect(2) in progress completes. A second connect(2) returns its result.
func (c *conn) connected(to unix.Sockaddr) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var outcome error
	err = raw.Write(func(fd uintptr) bool {
		outcome = unix.Connect(int(fd), to)
		return !connectionInProgress(outcome)
	})
	if err != nil {
		if !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, os.ErrClosed) {
			return shortage("cannot watch the connection; raise fs.epoll.max_user_watches")
		}
		return err
	}
	if outcome == unix.EISCONN {
		return nil
	}
	return outcome
}

// abort closes the connection with RST.
func (c *conn) abort() error {
	raw, err := c.SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) { _ = dialOptions{reset: true}.set(int(fd)) })
	}
	return errors.Join(err, c.Close())
}

// readDatagram reads a datagram. An empty one is not the end of a file, as it is for os.File.
func (c *conn) readDatagram(b []byte) (int, error) {
	n, err := c.Read(b)
	if err == io.EOF {
		err = nil
	}
	return n, err
}

// Close closes the connection.
func (c *conn) Close() error {
	c.keep()
	return c.File.Close()
}

// SetWriteDeadline does nothing: the context's deadline applies. crypto/tls would set another for its closing alert.
func (c *conn) SetWriteDeadline(time.Time) error { return nil }

// LocalAddr and RemoteAddr implement net.Conn.
func (c *conn) LocalAddr() net.Addr  { return net.TCPAddrFromAddrPort(netip.AddrPort{}) }
func (c *conn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.remote) }

func socketAddress(a netip.AddrPort) (unix.Sockaddr, int, error) {
	ip := a.Addr().Unmap()
	switch {
	case !ip.IsValid():
		return nil, 0, errors.New("no address to connect to")
	case ip.Is4():
		return &unix.SockaddrInet4{Addr: ip.As4(), Port: int(a.Port())}, unix.AF_INET, nil
	}
	to := &unix.SockaddrInet6{Addr: ip.As16(), Port: int(a.Port())}
	if ip.Zone() != "" {
		link, err := net.InterfaceByName(ip.Zone())
		if err != nil {
			return nil, 0, fmt.Errorf("interface %s of %s: %w", ip.Zone(), ip, err)
		}
		to.ZoneId = uint32(link.Index)
	}
	return to, unix.AF_INET6, nil
}
