package ipvsnl

import (
	"context"
	"encoding/binary"
	"errors"
	"syscall"

	"github.com/mdlayher/netlink"
)

// headerLength is that of a netlink header (struct nlmsghdr), genericLength that of a generic one (struct genlmsghdr).
const (
	headerLength  = 16
	genericLength = 4
)

var (
	errMessage = errors.New("a netlink message's length is not that of its datagram")
	errForeign = &linkError{errors.New("the kernel answered an ipvs request that was not sent")}
)

// handler takes a message. Its data is valid only during the call. It says whether it was the last one.
type handler func(h netlink.Header, data []byte) (done bool, err error)

// listen passes messages on as they come in, until the last. Of the answers to several requests none may be missing: what
// is not refused counts as done.
func (s *socket) listen(ctx context.Context, lone bool, each handler) error {
	// A long list is megabytes of datagrams. Through one buffer, they leave no garbage.
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

// answersTo passes on what answers the request: a list until its end, or a single answer; the answer to an acknowledged
// request ends with an error number.
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

// eachMessage passes the messages of a datagram on and reports whether one of them was the last.
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

// status returns the error number that begins a message of type Done or Error, if it is one.
func status(h netlink.Header, data []byte) error {
	if h.Flags&netlink.DumpInterrupted != 0 {
		return ErrDumpInterrupted
	}
	if len(data) < 4 {
		return nil // an end without a number
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

// words are the kernel's own on a refusal (NLMSGERR_ATTR_MSG), behind the header of the request, or all of it.
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
