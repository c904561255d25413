package ipvsnl

import (
	"encoding/binary"
	"errors"
	"fmt"
	"syscall"
	"unsafe"

	"github.com/mdlayher/netlink"
)

// headerLength is that of a netlink header (struct nlmsghdr), genericLength that of a generic one (struct genlmsghdr).
const (
	headerLength  = 16
	genericLength = 4
)

var errMessage = errors.New("a netlink message's length is not that of its datagram")

// handler takes a message. Its data is valid only during the call.
type handler func(h netlink.Header, data []byte) error

// receive passes the messages that answer a request for a list on as they come in, until its end.
func (s *socket) receive(sequence uint32, each handler) error {
	each = each.checked(sequence)
	if s.raw == nil {
		// Sockets of tests have no file descriptor.
		for m, err := range s.nl.ReceiveIter() {
			if err == nil {
				err = each(m.Header, m.Data)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	// A long list is megabytes of datagrams. Through one buffer, they leave no garbage.
	for {
		datagram, err := s.read()
		if err != nil {
			return err
		}
		if done, err := eachMessage(datagram, each); done || err != nil {
			return err
		}
	}
}

// checked refuses the answers to other requests.
func (each handler) checked(sequence uint32) handler {
	return func(h netlink.Header, data []byte) error {
		if h.Sequence != sequence {
			return errors.New("the kernel answered an ipvs request that was not sent")
		}
		return each(h, data)
	}
}

// read waits for a datagram.
func (s *socket) read() ([]byte, error) {
	if s.buffer == nil {
		s.buffer = make([]byte, 2*receiveBuffer)
	}
	var n int
	var err error
	waited := s.raw.Read(func(fd uintptr) bool {
		for {
			n, err = readNow(fd, s.buffer)
			if !errors.Is(err, syscall.EINTR) {
				return !errors.Is(err, syscall.EAGAIN)
			}
		}
	})
	if err = errors.Join(waited, err); err != nil {
		return nil, fmt.Errorf("receiving from netlink: %w", err)
	}
	return s.buffer[:n], nil
}

// readNow reads from a socket that does not block, without a word to the scheduler: told of a thousand reads of a part of a
// millisecond, its monitor wakes up every 20 µs all through a listing.
func readNow(fd uintptr, b []byte) (int, error) {
	n, _, errno := syscall.RawSyscall(syscall.SYS_READ, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// eachMessage passes the messages of a datagram on and reports whether one of them is the end of the list.
func eachMessage(datagram []byte, each handler) (done bool, err error) {
	for len(datagram) >= headerLength {
		h := netlink.Header{
			Length:   binary.NativeEndian.Uint32(datagram),
			Type:     netlink.HeaderType(binary.NativeEndian.Uint16(datagram[4:])),
			Flags:    netlink.HeaderFlags(binary.NativeEndian.Uint16(datagram[6:])),
			Sequence: binary.NativeEndian.Uint32(datagram[8:]),
			PID:      binary.NativeEndian.Uint32(datagram[12:]),
		}
		if h.Length < headerLength || int64(h.Length) > int64(len(datagram)) {
			return false, errMessage
		}
		data := datagram[headerLength:h.Length]
		if h.Type == netlink.Done || h.Type == netlink.Error {
			return true, status(h, data)
		}
		if err := each(h, data); err != nil {
			return false, err
		}
		datagram = datagram[min((int(h.Length)+3)&^3, len(datagram)):]
	}
	if len(datagram) > 0 {
		return false, errMessage
	}
	return false, nil
}

// status returns the error number that begins a message of type Done or Error, if it is one.
func status(h netlink.Header, data []byte) error {
	if h.Flags&netlink.DumpInterrupted != 0 {
		return ErrDumpInterrupted
	}
	if len(data) < 4 {
		return nil // an end without a number
	}
	if errno := -int32(binary.NativeEndian.Uint32(data)); errno != 0 {
		return &netlink.OpError{Op: "receive", Err: syscall.Errno(errno), Sequence: h.Sequence}
	}
	return nil
}
