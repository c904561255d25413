package ipvsnl

import (
	"context"
	"encoding/binary"
	"errors"
	"syscall"

	"github.com/mdlayher/netlink"
)

// headerLength is the length of a netlink header (struct nlmsghdr), genericLength that of a generic one (struct
// genlmsghdr).
const (
	headerLength  = 16
	genericLength = 4
)

var (
	errMessage = errors.New("a netlink message's length is not that of its datagram")
	errForeign = &linkError{errors.New("the kernel answered an ipvs request that was not sent")}
)

// handler processes a message, whose data is valid only during the call. It reports whether the message was the last
// one.
type handler func(h netlink.Header, data []byte) (done bool, err error)

// listen passes on messages as they arrive, until the last one. No answer to a batch may be missing: a request without
// error counts as done.
func (s *socket) listen(ctx context.Context, lone bool, each handler) error {
	// A long list consists of megabytes of datagrams. A single buffer avoids garbage.
	for {
		datagram, err := s.receive(ctx, lone)
		if err != nil {
			return err
		}
		if done, err := eachMessage(datagram, each); done || err != nil {
			return err
		}
	}
}

// answersTo passes on the answers to the request: a list until its end, or a single answer; the answer to an
// acknowledged request ends with an error number.
func answersTo(sequence uint32, flags netlink.HeaderFlags, each func(h netlink.Header, data []byte) error) handler {
	return func(h netlink.Header, data []byte) (done bool, err error) {
		switch {
		case h.Sequence != sequence:
			return false, errForeign
		case h.Type == netlink.Done, h.Type == netlink.Error:
			return true, status(h, data)
		}
		return flags&(netlink.Dump|netlink.Acknowledge) == 0, each(h, data)
	}
}

// eachMessage passes on the messages of a datagram and reports whether one of them was the last.
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
		if done, err := each(h, datagram[headerLength:h.Length]); done || err != nil {
			return done, err
		}
		datagram = datagram[min((int(h.Length)+3)&^3, len(datagram)):]
	}
	if len(datagram) > 0 {
		return false, errMessage
	}
	return false, nil
}

// status returns the error number at the start of a message of type Done or Error.
func status(h netlink.Header, data []byte) error {
	if h.Flags&netlink.DumpInterrupted != 0 {
		return ErrDumpInterrupted
	}
	if len(data) < 4 {
		return nil // an end without an error number
	}
	errno := -int32(binary.NativeEndian.Uint32(data))
	if errno == 0 {
		return nil
	}
	refusal := &netlink.OpError{Op: "receive", Err: syscall.Errno(errno), Sequence: h.Sequence}
	if h.Type == netlink.Error && h.Flags&netlink.AcknowledgeTLVs != 0 {
		refusal.Message = words(h, data)
	}
	return refusal
}

// words returns the kernel's message for an error (NLMSGERR_ATTR_MSG), which follows the header of the request, or the
// whole request.
func words(h netlink.Header, data []byte) string {
	const message = 1
	length := headerLength
	if len(data) < 4+length {
		return ""
	}
	if h.Flags&netlink.Capped == 0 {
		length = int(min(binary.NativeEndian.Uint32(data[4:]), uint32(len(data))))
	}
	rest := data[min(4+(length+3)&^3, len(data)):]
	ad, err := netlink.NewAttributeDecoder(rest)
	if err != nil {
		return ""
	}
	for ad.Next() {
		if ad.Type() == message {
			return ad.String()
		}
	}
	return ""
}
