package speaker

import (
	"encoding/binary"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// outgoing is an advert to one destination that can be sent repeatedly: the arguments of sendmsg(2), built once.
type outgoing struct {
	hdr         unix.Msghdr
	iov         unix.Iovec
	name        unix.RawSockaddrInet6
	control     [8]uint64 // uint64 for the alignment of control messages
	data        []byte
	destination netip.Addr
	queued      bool // in an outbox
}

// newOutgoing returns a message from a source address to a destination through an interface.
func newOutgoing(data []byte, from, to netip.Addr, index int) *outgoing {
	o := &outgoing{data: data, destination: to}
	o.iov.Base = &o.data[0]
	o.iov.SetLen(len(o.data))
	o.hdr.Iov = &o.iov
	o.hdr.SetIovlen(1)
	o.hdr.Name = (*byte)(unsafe.Pointer(&o.name))
	o.hdr.Control = (*byte)(unsafe.Pointer(&o.control))
	if to.Is4() {
		o.address4(from, to, index)
	} else {
		o.address6(from, to, index)
	}
	return o
}

func (o *outgoing) address4(from, to netip.Addr, index int) {
	sa := (*unix.RawSockaddrInet4)(unsafe.Pointer(&o.name))
	*sa = unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: to.As4()}
	o.hdr.Namelen = unix.SizeofSockaddrInet4
	value := o.controlMessage(unix.IPPROTO_IP, unix.IP_PKTINFO, unix.SizeofInet4Pktinfo)
	info := (*unix.Inet4Pktinfo)(unsafe.Pointer(&value[0]))
	info.Ifindex, info.Spec_dst = int32(index), from.As4()
}

func (o *outgoing) address6(from, to netip.Addr, index int) {
	o.name = unix.RawSockaddrInet6{Family: unix.AF_INET6, Addr: to.As16()}
	if to.IsLinkLocalUnicast() || to.IsLinkLocalMulticast() {
		o.name.Scope_id = uint32(index)
	}
	o.hdr.Namelen = unix.SizeofSockaddrInet6
	value := o.controlMessage(unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, unix.SizeofInet6Pktinfo)
	source := from.As16()
	copy(value, source[:])
	binary.NativeEndian.PutUint32(value[16:], uint32(index))
}

func (o *outgoing) controlMessage(level, kind int32, length int) []byte {
	h := (*unix.Cmsghdr)(unsafe.Pointer(&o.control))
	h.Level, h.Type = level, kind
	h.SetLen(unix.CmsgLen(length))
	o.hdr.SetControllen(unix.CmsgSpace(length))
	return unsafe.Slice((*byte)(unsafe.Pointer(&o.control)), len(o.control)*8)[unix.CmsgLen(0):unix.CmsgLen(length)]
}

// sender sends batches of messages. It belongs to one goroutine.
type sender struct {
	msgs [sendBatch]mmsghdr
}

const sendBatch = 64

// send passes the first messages, at most a batch, to the kernel. It sends at least one, or returns the error of the first.
// The system call does not block, so it bypasses the Go scheduler, which would wake other threads for each call and take
// away the P that the loop needs again immediately.
func (s *sender) send(fd int, messages []*outgoing) (sent int, err error) {
	batch := min(len(messages), len(s.msgs))
	for i, o := range messages[:batch] {
		s.msgs[i].hdr = o.hdr
	}
	n, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&s.msgs[0])), uintptr(batch),
		unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
	clear(s.msgs[:batch])
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
