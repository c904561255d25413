package speaker

import (
	"encoding/binary"
	"net/netip"
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
}

const (
	batchLen     = 32
	ipv4HeaderIn = 60 // maximum length, with options
	packetBuffer = ipv4HeaderIn + vrrp.MaxPacketLen + 8
	controlLen   = 96 // bytes, for IPV6_PKTINFO and IPV6_HOPLIMIT
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
	data := r.data[i][:m.len]
	if f == vrrp.IPv6 {
		p := datagram{Data: data, From: netip.AddrFrom16(r.names[i].Addr), Truncated: m.hdr.Flags&unix.MSG_TRUNC != 0}
		control := unsafe.Slice((*byte)(unsafe.Pointer(&r.control[i])), controlLen)
		p.To, p.TTL = parseControl(control[:m.hdr.Controllen])
		return p
	}
	p := parseIPv4(data)
	p.Truncated = p.Truncated || m.hdr.Flags&unix.MSG_TRUNC != 0
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

// parseControl returns the destination and hop limit from the control messages of an IPv6 packet.
func parseControl(b []byte) (to netip.Addr, hopLimit uint8) {
	for len(b) >= unix.SizeofCmsghdr {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
		n := int(h.Len)
		if n < unix.SizeofCmsghdr || n > len(b) {
			return to, hopLimit
		}
		value := b[unix.CmsgLen(0):n]
		if h.Level == unix.IPPROTO_IPV6 {
			switch {
			case h.Type == unix.IPV6_PKTINFO && len(value) >= unix.SizeofInet6Pktinfo:
				to = netip.AddrFrom16([16]byte(value[:16]))
			case h.Type == unix.IPV6_HOPLIMIT && len(value) >= 4:
				hopLimit = uint8(binary.NativeEndian.Uint32(value))
			}
		}
		b = b[min(unix.CmsgSpace(n-unix.CmsgLen(0)), len(b)):]
	}
	return to, hopLimit
}
