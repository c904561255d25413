package speaker

import (
	"encoding/binary"
	"net/netip"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// datagram is a received packet: the VRRP payload and the fields of the IP header. Data is valid until the next receive.
type datagram struct {
	Data      []byte
	From, To  netip.Addr
	TTL       uint8
	Truncated bool
	Stamp     int64     // the kernel's time stamp, CLOCK_REALTIME in nanoseconds; 0 if there is none
	At        time.Time // when the kernel received it
}

const (
	batchLen     = 32
	ipv4HeaderIn = 60 // maximum length, with options
	packetBuffer = ipv4HeaderIn + vrrp.MaxPacketLen + 8
	controlLen   = 128 // bytes, for SCM_TIMESTAMPNS, IPV6_PKTINFO and IPV6_HOPLIMIT
)

// mmsghdr is struct mmsghdr of recvmmsg(2) and sendmmsg(2).
type mmsghdr struct {
	hdr unix.Msghdr
	len uint32
}

// receiver reads batches of packets into buffers that it reuses. It belongs to one goroutine.
type receiver struct {
	msgs    [batchLen]mmsghdr
	iovs    [batchLen]unix.Iovec
	names   [batchLen]unix.RawSockaddrInet6
	control [batchLen][controlLen / 8]uint64 // uint64 for the alignment of control messages
	data    [batchLen][packetBuffer]byte
}

func newReceiver() *receiver {
	r := &receiver{}
	for i := range r.msgs {
		r.iovs[i].Base = &r.data[i][0]
		r.iovs[i].SetLen(packetBuffer)
		h := &r.msgs[i].hdr
		h.Iov = &r.iovs[i]
		h.SetIovlen(1)
		h.Name = (*byte)(unsafe.Pointer(&r.names[i]))
		h.Control = (*byte)(unsafe.Pointer(&r.control[i]))
	}
	return r
}

// read receives the packets queued on the socket, at most a batch, without blocking (like sender.send). It returns EAGAIN
// if there are none.
func (r *receiver) read(fd int) (int, error) {
	for i := range r.msgs {
		h := &r.msgs[i].hdr
		h.Namelen = unix.SizeofSockaddrInet6
		h.SetControllen(controlLen)
		h.Flags = 0
	}
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&r.msgs[0])), batchLen,
		unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// at returns the i-th packet of the batch.
func (r *receiver) at(i int, f vrrp.Family) datagram {
	m := &r.msgs[i]
	p := datagram{Data: r.data[i][:m.len], From: netip.AddrFrom16(r.names[i].Addr)}
	if f == vrrp.IPv4 {
		p = parseIPv4(p.Data)
	}
	p.Truncated = p.Truncated || m.hdr.Flags&unix.MSG_TRUNC != 0
	control := unsafe.Slice((*byte)(unsafe.Pointer(&r.control[i])), controlLen)
	p.parseControl(control[:m.hdr.Controllen])
	return p
}

// parseIPv4 removes the IPv4 header, which raw sockets deliver.
func parseIPv4(b []byte) datagram {
	const minHeader = 20
	if len(b) < minHeader {
		return datagram{Truncated: true}
	}
	header, total := int(b[0]&0x0f)*4, int(binary.BigEndian.Uint16(b[2:]))
	if header < minHeader || header > len(b) || total < header || total > len(b) {
		return datagram{Truncated: true}
	}
	return datagram{
		Data: b[header:total],
		From: netip.AddrFrom4([4]byte(b[12:16])),
		To:   netip.AddrFrom4([4]byte(b[16:20])),
		TTL:  b[8],
	}
}

// parseControl reads the control messages: the time stamp and, of an IPv6 packet, the destination and hop limit.
func (p *datagram) parseControl(b []byte) {
	for len(b) >= unix.SizeofCmsghdr {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
		n := int(h.Len)
		if n < unix.SizeofCmsghdr || n > len(b) {
			return
		}
		value := b[unix.CmsgLen(0):n]
		switch is := [...]int32{h.Level, h.Type}; {
		case is == [...]int32{unix.SOL_SOCKET, unix.SCM_TIMESTAMPNS} && len(value) >= int(unsafe.Sizeof(unix.Timespec{})):
			p.Stamp = (*unix.Timespec)(unsafe.Pointer(&value[0])).Nano()
		case is == [...]int32{unix.IPPROTO_IPV6, unix.IPV6_PKTINFO} && len(value) >= unix.SizeofInet6Pktinfo:
			p.To = netip.AddrFrom16([16]byte(value[:16]))
		case is == [...]int32{unix.IPPROTO_IPV6, unix.IPV6_HOPLIMIT} && len(value) >= 4:
			p.TTL = uint8(binary.NativeEndian.Uint32(value))
		}
		b = b[min(unix.CmsgSpace(n-unix.CmsgLen(0)), len(b)):]
	}
}
