package ipvsnl

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// transport is a netlink socket. It does not use Go's poller, which would wait for events that a failed call has
// consumed: calls only wait within a system call.
type transport struct {
	file *os.File // prevents reuse of the descriptor while a call is running
	raw  syscall.RawConn
}

func openTransport() (Transport, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_GENERIC)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	file := os.NewFile(uintptr(fd), "netlink")
	if err := setUp(fd); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	raw, err := file.SyscallConn()
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &transport{file, raw}, nil
}

func setUp(fd int) error {
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return os.NewSyscallError("bind", err)
	}
	// Answers without a copy of the request, and with the kernel's message.
	for _, option := range []int{unix.NETLINK_CAP_ACK, unix.NETLINK_EXT_ACK} {
		if err := unix.SetsockoptInt(fd, unix.SOL_NETLINK, option, 1); err != nil {
			return fmt.Errorf("setsockopt %d: %w", option, err)
		}
	}
	return nil
}

// Send passes a datagram to the kernel, which processes its requests before the call returns.
func (t *transport) Send(datagram []byte) error {
	var err error
	if lost := t.raw.Control(func(fd uintptr) {
		err = unix.Sendto(int(fd), datagram, unix.MSG_DONTWAIT, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
	}); lost != nil {
		return lost
	}
	return err
}

// Receive reads the next datagram with a raw system call: if the scheduler is notified of a thousand reads that take less
// than a millisecond, its monitor thread wakes up every 20 µs throughout a dump.
func (t *transport) Receive(b []byte) (int, error) {
	var n uintptr
	var errno syscall.Errno
	err := t.raw.Control(func(fd uintptr) {
		n, _, errno = syscall.RawSyscall6(syscall.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)),
			unix.MSG_DONTWAIT|unix.MSG_TRUNC, 0, 0)
	})
	switch {
	case err != nil:
		return 0, err
	case errno != 0:
		return 0, errno
	case int(n) > len(b):
		return 0, fmt.Errorf("a netlink datagram of %d bytes does not fit", n)
	}
	return int(n), nil
}

// Close closes the socket. It does not wait for a call that hangs in the kernel.
func (t *transport) Close() error { return t.file.Close() }
