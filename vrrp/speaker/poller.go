package speaker

import (
	"encoding/binary"
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// poller is where the loop sleeps. It waits for sockets, a wake-up from other goroutines, and its own timer, because the Go
// runtime rounds timers to the milliseconds of epoll.
type poller struct {
	epoll, timer, wakeup int
	sockets              map[int32]*socket
	ready                []*socket // readable at the last wait or poll
	more                 bool      // more sockets may be readable
	events               [256]unix.EpollEvent
	origin               origin
	armed                time.Time // when the timer fires; zero if not set
	seldom               bool      // the last long wait was much longer than shortWait
	fired                bool      // the timer has fired and has not been read or set since
}

func newPoller() (*poller, error) {
	p := &poller{epoll: -1, timer: -1, wakeup: -1, sockets: map[int32]*socket{}, origin: newOrigin()}
	if err := p.open(); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *poller) open() (err error) {
	if p.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("create epoll: %w", err)
	}
	if p.timer, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK); err != nil {
		return fmt.Errorf("create timer: %w", err)
	}
	if p.wakeup, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return fmt.Errorf("create eventfd: %w", err)
	}
	for _, fd := range []int{p.timer, p.wakeup} {
		if err := p.watch(fd); err != nil {
			return err
		}
	}
	return nil
}

func (p *poller) watch(fd int) error {
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}
	if err := unix.EpollCtl(p.epoll, unix.EPOLL_CTL_ADD, fd, &event); err != nil {
		return fmt.Errorf("watch descriptor %d: %w", fd, err)
	}
	return nil
}

// add takes ownership of a socket.
func (p *poller) add(s *socket) error {
	if err := p.watch(s.fd); err != nil {
		return err
	}
	p.sockets[int32(s.fd)] = s
	return nil
}

// remove closes a socket.
func (p *poller) remove(s *socket) {
	delete(p.sockets, int32(s.fd))
	s.close()
}

// wake ends a wait. It may be called from any goroutine.
func (p *poller) wake() {
	var one [8]byte
	binary.NativeEndian.PutUint64(one[:], 1)
	// This fails only if the counter is full, and then the loop wakes anyway.
	_, _ = unix.Write(p.wakeup, one[:])
}

// wait sleeps until a socket is readable, wake is called or the deadline has passed. A zero deadline means none.
func (p *poller) wait(deadline time.Time) error {
	if err := p.arm(deadline); err != nil {
		return err
	}
	first := shortWait
	if p.seldom {
		first = briefWait
	}
	n, err := p.epollWait(first)
	if n == 0 && err == nil {
		began := time.Now()
		n, err = p.waitLong(deadline)
		p.seldom = first+time.Since(began) > 2*shortWait
	}
	return p.sort(n, err)
}

// wakeAhead is how long before a deadline a long wait ends. The remaining time is a short wait, so that this thread has its
// P of the Go scheduler back at the deadline.
const wakeAhead = time.Millisecond

// waitLong waits with the P released to other goroutines.
func (p *poller) waitLong(deadline time.Time) (n int, err error) {
	if deadline.IsZero() {
		return p.block()
	}
	if err := p.arm(deadline.Add(-wakeAhead)); err != nil {
		return 0, err
	}
	n, err = p.block()
	if n != 1 || err != nil || int(p.events[0].Fd) != p.timer {
		return n, err
	}
	p.armed = time.Time{}
	if err := p.arm(deadline); err != nil {
		return 0, err
	}
	return p.epollWait(shortWait)
}

// shortWait is how long to wait first, bypassing the Go scheduler. The runtime's monitor thread retakes the P of a goroutine
// whose system calls last for more than 10 ms in total, however short each is, and then checks again every 20 µs. With
// adverts every 10 ms, that is 2,000 system calls a second.
const shortWait = 10 * time.Millisecond

// briefWait takes its place while packets and timers are seldom: the rest of a group of packets arrives within it. In shortWait, the
// monitor thread wakes 60 times.
const briefWait = time.Millisecond

// epollWait repeats a wait that is interrupted by a signal, which the Go runtime sends to preempt a goroutine.
func (p *poller) epollWait(timeout time.Duration) (n int, err error) {
	for {
		if n, err = p.epollWaitOnce(timeout); err != unix.EINTR {
			return n, err
		}
	}
}

// epollWaitOnce calls epoll_wait(2). The Go runtime can preempt it at function entry. Inlining would remove that point, and
// the runtime would wait for the goroutine and send signals repeatedly.
//
//go:noinline
func (p *poller) epollWaitOnce(timeout time.Duration) (n int, err error) {
	r, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.epoll), uintptr(unsafe.Pointer(&p.events[0])),
		uintptr(len(p.events)), uintptr(timeout.Milliseconds()), 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(r), nil
}

// block repeats a wait that is interrupted by a signal.
func (p *poller) block() (n int, err error) {
	for {
		r, errno := p.epollBlock()
		if errno == 0 {
			return int(r), nil
		}
		if errno != unix.EINTR {
			return 0, errno
		}
	}
}

// epollBlock calls epoll_wait(2) without a P of the Go scheduler. An ordinary system call keeps the P until the monitor thread takes it
// away after 10 ms, for which that wakes some 60 times.
//
//go:nosplit
//go:noinline
func (p *poller) epollBlock() (uintptr, unix.Errno) {
	fd, events, size := uintptr(p.epoll), uintptr(unsafe.Pointer(&p.events[0])), uintptr(len(p.events))
	entersyscallblock()
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, fd, events, size, ^uintptr(0), 0, 0)
	exitsyscall()
	return n, errno
}

// The Go runtime promises not to change these two, which other programs use too (go.dev/issue/67401).

//go:linkname entersyscallblock runtime.entersyscallblock
func entersyscallblock()

//go:linkname exitsyscall runtime.exitsyscall
func exitsyscall()

// poll determines which sockets are readable, without waiting.
func (p *poller) poll() error { return p.sort(p.epollWait(0)) }

// rest sleeps until wake is called or the time is over, regardless of the sockets. It bypasses the Go scheduler because it
// is so short.
func (p *poller) rest(d time.Duration) {
	if d <= 0 {
		return
	}
	fd, limit := unix.PollFd{Fd: int32(p.wakeup), Events: unix.POLLIN}, unix.NsecToTimespec(int64(d))
	// An error only shortens the rest.
	n, _, errno := unix.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&fd)), 1, uintptr(unsafe.Pointer(&limit)), 0, 0, 0)
	if n > 0 && errno == 0 {
		p.drain(p.wakeup)
	}
}

// pollAfterRest determines which sockets are readable after a rest. A single socket is assumed to be readable: an
// unsuccessful read costs no more than epoll_wait.
func (p *poller) pollAfterRest() error {
	if len(p.sockets) != 1 {
		return p.poll()
	}
	p.ready, p.more = p.ready[:0], false
	for _, s := range p.sockets {
		p.ready = append(p.ready, s)
	}
	return nil
}

// sort processes the result of epoll_wait.
func (p *poller) sort(n int, err error) error {
	if err != nil && err != unix.EINTR {
		return fmt.Errorf("wait for events: %w", err)
	}
	p.ready, p.more = p.ready[:0], n == len(p.events)
	for i := range max(n, 0) {
		switch fd := p.events[i].Fd; int(fd) {
		case p.timer:
			p.armed, p.fired = time.Time{}, true
		case p.wakeup:
			p.drain(p.wakeup)
		default:
			if s := p.sockets[fd]; s != nil {
				p.ready = append(p.ready, s)
			}
		}
	}
	return nil
}

func (p *poller) drain(fd int) {
	var b [8]byte
	_, _ = unix.Read(fd, b[:])
}

// arm sets the timer, which also clears its expiry. It does not change a timer that is set to an earlier time: that causes
// one unnecessary wake-up, but otherwise every advert, which postpones a backup's deadline, would set the timer again.
func (p *poller) arm(deadline time.Time) error {
	if deadline.IsZero() {
		if p.fired {
			p.drain(p.timer)
			p.fired = false
		}
		return nil
	}
	if !p.armed.IsZero() && !p.armed.After(deadline) {
		return nil
	}
	at := max(p.origin.monotonic(deadline), 1) // zero would disarm it
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(at)}
	_, _, errno := unix.RawSyscall6(unix.SYS_TIMERFD_SETTIME, uintptr(p.timer), unix.TFD_TIMER_ABSTIME, uintptr(unsafe.Pointer(&spec)), 0, 0, 0)
	if errno != 0 {
		return fmt.Errorf("set timer: %w", errno)
	}
	p.armed, p.fired = deadline, false
	return nil
}

func (p *poller) close() {
	for _, s := range p.sockets {
		s.close()
	}
	for _, fd := range []int{p.epoll, p.timer, p.wakeup} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}
