package healthcheck

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The system calls below do not block and are not announced to Go's scheduler, which would otherwise give the loop's processor
// to another thread.

// event is what has happened to a socket.
type event struct {
	fd    int
	flags uint32
}

func (e event) failed() bool   { return e.flags&(unix.EPOLLERR|unix.EPOLLHUP) != 0 }
func (e event) writable() bool { return e.flags&unix.EPOLLOUT != 0 }
func (e event) readable() bool { return e.failed() || e.flags&(unix.EPOLLIN|unix.EPOLLRDHUP) != 0 }

// closed reports that the other side sends nothing after what has arrived.
func (e event) closed() bool { return !e.failed() && e.flags&unix.EPOLLRDHUP != 0 }

// poller waits for events.
type poller struct {
	epoll, waker int
	raw          [256]unix.EpollEvent
	events       []event
}

func newPoller() (*poller, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create an epoll: %w", err)
	}
	waker, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("create an eventfd: %w", err), unix.Close(epoll))
	}
	p := &poller{epoll: epoll, waker: waker}
	if err := unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, waker, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(waker)}); err != nil {
		p.close()
		return nil, fmt.Errorf("watch an eventfd: %w", err)
	}
	return p, nil
}

func (p *poller) close() {
	_ = unix.Close(p.epoll)
	_ = unix.Close(p.waker)
}

// wake ends wait. It may be called from any goroutine.
func (p *poller) wake() {
	one := uint64(1)
	_, _, _ = unix.RawSyscall(unix.SYS_WRITE, uintptr(p.waker), uintptr(unsafe.Pointer(&one)), unsafe.Sizeof(one))
}

// add watches a socket until it is closed. An event is reported once, when it happens.
func (p *poller) add(fd int) error {
	e := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | 1<<31, Fd: int32(fd)} // EPOLLET, which is negative in package unix
	_, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(p.epoll), unix.EPOLL_CTL_ADD, uintptr(fd), uintptr(unsafe.Pointer(&e)), 0, 0)
	if errno == unix.ENOSPC {
		return shortage("cannot watch the connection; raise fs.epoll.max_user_watches")
	}
	return orNil(errno)
}

func (p *poller) remove(fd int) { _ = unix.EpollCtl(p.epoll, unix.EPOLL_CTL_DEL, fd, nil) }

// wait returns events, or none after a time. The slice is valid until the next call.
func (p *poller) wait(limit time.Duration) []event {
	var n int
	if limit <= 0 {
		r, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.epoll), uintptr(unsafe.Pointer(&p.raw[0])), uintptr(len(p.raw)), 0, 0, 0)
		if errno == 0 {
			n = int(r)
		}
	} else {
		n, _ = unix.EpollWait(p.epoll, p.raw[:], int((limit+time.Millisecond-1)/time.Millisecond))
	}
	p.events = p.events[:0]
	for _, e := range p.raw[:max(n, 0)] {
		if int(e.Fd) == p.waker {
			var count uint64
			_, _, _ = unix.RawSyscall(unix.SYS_READ, uintptr(p.waker), uintptr(unsafe.Pointer(&count)), unsafe.Sizeof(count))
			continue
		}
		p.events = append(p.events, event{fd: int(e.Fd), flags: e.Events})
	}
	return p.events
}

// socketKind says for which connections a socket can be used again. The zero value: none.
type socketKind struct {
	family int
	mark   uint32
}

// sockets are TCP sockets that are not connected, watched by the poller. A connection is reset with connect(2) to AF_UNSPEC,
// which sends RST if there is somebody to send it to, and the socket is used again: for a third of the cost of a TCP check.
type sockets struct {
	idle  map[socketKind][]int
	count int
}

// maxIdle limits the sockets that are kept.
const maxIdle = 256

// connect begins to connect to a server.
func (s *sockets) connect(p *poller, server netip.AddrPort, source Source) (fd int, kind socketKind, err error) {
	if server.Port() == 0 {
		return -1, socketKind{}, fmt.Errorf("no address and port to connect to: %s", server)
	}
	to, family, err := socketAddress(server)
	if err != nil {
		return -1, socketKind{}, err
	}
	// A socket that is bound to an address or, by the zone of its server's address, to an interface stays so.
	if source.Address == (netip.Addr{}) && source.Interface == "" && server.Addr().Zone() == "" {
		kind = socketKind{family, source.Mark}
	}
	fd, known := s.take(kind)
	if !known {
		if fd, err = open(p, family, source); err != nil {
			return -1, socketKind{}, err
		}
	}
	if err := connectTo(fd, to); err != nil && !connectionInProgress(err) {
		s.release(fd, kind)
		return -1, socketKind{}, err
	}
	return fd, kind, nil
}

// open opens and watches a socket.
func open(p *poller, family int, source Source) (int, error) {
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open a socket: %w", err)
	}
	// The handshake's last ACK is sent with the first data or the reset, as with dialOptions.lateACK, which would have to be
	// set for each connection (tcp_rcv_synsent_state_process in net/ipv4/tcp_input.c).
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, 1)
	if err := source.bind(fd, family); err != nil {
		return -1, errors.Join(err, unix.Close(fd))
	}
	if err := p.add(fd); err != nil {
		return -1, errors.Join(err, unix.Close(fd))
	}
	return fd, nil
}

func (s *sockets) take(kind socketKind) (int, bool) {
	list := s.idle[kind]
	if len(list) == 0 {
		return -1, false
	}
	fd := list[len(list)-1]
	s.idle[kind] = list[:len(list)-1]
	s.count--
	return fd, true
}

// release resets a connection and keeps the socket, if it can be used again.
func (s *sockets) release(fd int, kind socketKind) {
	if kind == (socketKind{}) || s.count >= maxIdle || connectTo(fd, nil) != nil {
		_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1, Linger: 0})
		_ = unix.Close(fd)
		return
	}
	if s.idle == nil {
		s.idle = map[socketKind][]int{}
	}
	s.idle[kind] = append(s.idle[kind], fd)
	s.count++
}

func (s *sockets) close() {
	for _, list := range s.idle {
		for _, fd := range list {
			_ = unix.Close(fd)
		}
	}
}

// connectResult returns the outcome of a connect(2) in progress, nil if the socket is connected.
func connectResult(fd int, server netip.AddrPort) error {
	to, _, err := socketAddress(server)
	if err != nil {
		return err
	}
	if err := connectTo(fd, to); err != unix.EISCONN {
		return err
	}
	return nil
}

// connectTo connects a socket, or resets its connection if there is no address.
func connectTo(fd int, to unix.Sockaddr) error {
	var address unsafe.Pointer
	var size uintptr
	switch to := to.(type) {
	case *unix.SockaddrInet4:
		raw := unix.RawSockaddrInet4{Family: unix.AF_INET, Port: networkOrder(to.Port), Addr: to.Addr}
		address, size = unsafe.Pointer(&raw), unsafe.Sizeof(raw)
	case *unix.SockaddrInet6:
		raw := unix.RawSockaddrInet6{Family: unix.AF_INET6, Port: networkOrder(to.Port), Addr: to.Addr, Scope_id: to.ZoneId}
		address, size = unsafe.Pointer(&raw), unsafe.Sizeof(raw)
	default:
		raw := unix.RawSockaddrInet4{Family: unix.AF_UNSPEC}
		address, size = unsafe.Pointer(&raw), unsafe.Sizeof(raw)
	}
	_, _, errno := unix.RawSyscall(unix.SYS_CONNECT, uintptr(fd), uintptr(address), size)
	return orNil(errno)
}

func networkOrder(port int) (order uint16) {
	bytes := (*[2]byte)(unsafe.Pointer(&order))
	bytes[0], bytes[1] = byte(port>>8), byte(port)
	return order
}

func write(fd int, b []byte) (int, error) {
	// MSG_NOSIGNAL: a connection that the server has reset is an error, not a SIGPIPE.
	n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), unix.MSG_NOSIGNAL, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

func read(fd int, b []byte) (int, error) {
	n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

func orNil(errno unix.Errno) error {
	if errno != 0 {
		return errno
	}
	return nil
}
