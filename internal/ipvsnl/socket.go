package ipvsnl

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/mdlayher/genetlink"
	"github.com/mdlayher/netlink"
)

// silence is the time limit for a datagram. The kernel queues its answer before the requesting system call returns
// (net/netlink/af_netlink.c: netlink_unicast_kernel, and netlink_dump for the rest of a list), however long that takes.
// A missing answer was lost; the wait covers reads that fail although an answer is queued.
const silence = 200 * time.Millisecond

// Requests that did not reach the kernel, and reads, are repeated after pauses of doubling length.
const (
	firstPause   = time.Millisecond
	longestPause = 20 * time.Millisecond
	sendAttempts = 6
	readAttempts = 5
)

// ErrNoAnswer means that the kernel's answer was lost.
var ErrNoAnswer = fmt.Errorf("the kernel did not answer an ipvs request: %w", context.DeadlineExceeded)

// A linkError is a failure of the socket, as opposed to the kernel's answer to a request.
type linkError struct{ error }

func (e *linkError) Unwrap() error { return e.error }

// passing are temporary errors, from the socket or the kernel.
var passing = [...]syscall.Errno{syscall.EINTR, syscall.EAGAIN, syscall.EBUSY, syscall.ENOBUFS, syscall.EMFILE, syscall.ENFILE}

func isPassing(err error) bool {
	for _, errno := range passing {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// IsTransient reports whether an immediate retry makes sense: the socket failed, or the kernel reported a temporary
// error. Any other answer concerns the request.
func IsTransient(err error) bool {
	if errors.Is(err, ErrClosed) {
		return false
	}
	_, link := errors.AsType[*linkError](err)
	return link || isPassing(err) || errors.Is(err, ErrDumpInterrupted)
}

// socket is a transport with the family's number. Only the owner of the turn uses it.
type socket struct {
	transport Transport
	resolved  atomic.Bool
	family    uint16 // if resolved
	sequence  uint32 // of the last request
	buffer    []byte
}

// message is an encoded request.
func (s *socket) message(family uint16, version uint8, r Request, flags netlink.HeaderFlags) ([]byte, error) {
	data, err := genetlink.Message{Header: genetlink.Header{Command: r.Command, Version: version}, Data: r.Attributes}.MarshalBinary()
	if err != nil {
		return nil, err
	}
	s.sequence++
	length := headerLength + len(data)
	data = append(data, make([]byte, -length&3)...) // several requests in a datagram are aligned
	return netlink.Message{
		Header: netlink.Header{
			Length: uint32(headerLength + len(data)), Type: netlink.HeaderType(family), Flags: netlink.Request | flags, Sequence: s.sequence,
		},
		Data: data,
	}.MarshalBinary()
}

// send passes a datagram to the kernel. If the kernel did not accept it, it is sent again a few times.
func (s *socket) send(ctx context.Context, datagram []byte) error {
	wait := firstPause
	for attempt := 1; ; attempt++ {
		err := s.transport.Send(datagram)
		if err == nil {
			return nil
		}
		if !isPassing(err) || attempt == sendAttempts || ctx.Err() != nil {
			return &linkError{fmt.Errorf("sending to netlink: %w", err)}
		}
		if !errors.Is(err, syscall.EINTR) {
			pause(ctx, wait)
			wait *= 2
		}
	}
}

// receive returns the next datagram, which is valid until the next call. After a failed read it still waits for a single
// answer: the read fails with ENOBUFS if the kernel lacked memory for any message, and if that was the answer, none
// arrives.
func (s *socket) receive(ctx context.Context, lone bool) ([]byte, error) {
	if s.buffer == nil {
		s.buffer = make([]byte, 2*receiveBuffer)
	}
	wait := firstPause
	for waited := time.Duration(0); ; {
		n, err := s.transport.Receive(s.buffer)
		switch {
		case err == nil:
			return s.buffer[:n], nil
		case !errors.Is(err, syscall.EAGAIN) && !errors.Is(err, syscall.EINTR) && !(lone && isPassing(err)):
			return nil, &linkError{fmt.Errorf("receiving from netlink: %w", err)}
		case waited >= silence:
			return nil, &linkError{ErrNoAnswer}
		case ctx.Err() != nil:
			return nil, &linkError{context.Cause(ctx)}
		}
		pause(ctx, wait)
		waited += wait
		wait = min(2*wait, longestPause)
	}
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
