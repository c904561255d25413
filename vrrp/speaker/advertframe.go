package speaker

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// A master with a virtual MAC address sends its adverts as Ethernet frames on the interface below its macvlan. They then
// have the virtual MAC address from the first one on, which may be sent before the macvlan is up.

const (
	ethernetLen   = 14
	ipv4HeaderLen = 20
	dontFragment  = 0x4000
)

// newAdvertFrame returns a frame with an advert from a MAC and a source address to a multicast address.
func newAdvertFrame(data []byte, mac net.HardwareAddr, from, to netip.Addr, index int) *outgoing {
	frame := make([]byte, 0, ethernetLen+ipv6HeaderLen+len(data))
	frame = append(append(frame, multicastMAC(to)...), mac...)
	protocol := uint16(unix.ETH_P_IP)
	if to.Is4() {
		frame = appendIPv4Header(append(frame, 0x08, 0x00), len(data), from, to)
	} else {
		protocol = unix.ETH_P_IPV6
		frame = appendIPv6Header(append(frame, 0x86, 0xdd), ipv6Header{classSelector6, vrrp.Protocol, len(data), from, to})
	}
	header := len(frame)
	frame = append(frame, data...)
	o := &outgoing{data: frame[header:], destination: to}
	o.iov.Base = &frame[0]
	o.iov.SetLen(len(frame))
	o.hdr.Iov = &o.iov
	o.hdr.SetIovlen(1)
	o.hdr.Name = (*byte)(unsafe.Pointer(&o.name))
	o.hdr.Namelen = unix.SizeofSockaddrLinklayer
	*(*unix.RawSockaddrLinklayer)(unsafe.Pointer(&o.name)) = unix.RawSockaddrLinklayer{
		Family: unix.AF_PACKET, Protocol: htons(protocol), Ifindex: int32(index),
	}
	return o
}

func htons(v uint16) uint16 { return binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, v)) }

// multicastMAC returns the Ethernet address of a multicast address (RFC 1112, 6.4; RFC 2464, 7).
func multicastMAC(a netip.Addr) net.HardwareAddr {
	b := a.As16()
	if a.Is4() {
		return net.HardwareAddr{0x01, 0x00, 0x5e, b[13] & 0x7f, b[14], b[15]}
	}
	return net.HardwareAddr{0x33, 0x33, b[12], b[13], b[14], b[15]}
}

// appendIPv4Header appends the header of an advert, as the kernel does for the raw socket.
func appendIPv4Header(b []byte, payload int, from, to netip.Addr) []byte {
	start := len(b)
	b = append(b, 4<<4|ipv4HeaderLen/4, classSelector6)
	b = binary.BigEndian.AppendUint16(b, uint16(ipv4HeaderLen+payload))
	b = binary.BigEndian.AppendUint32(b, dontFragment) // and no identification (RFC 6864, 4.1)
	b = append(b, vrrp.HopLimit, vrrp.Protocol, 0, 0)
	b = append(append(b, from.AsSlice()...), to.AsSlice()...)
	sum := uint32(0)
	for i := start; i < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	sum = sum&0xffff + sum>>16
	binary.BigEndian.PutUint16(b[start+10:], ^uint16(sum&0xffff+sum>>16))
	return b
}

// ipv6Header holds the fields of a header that vary. The hop limit is always 255.
type ipv6Header struct {
	class    uint32
	next     uint8
	length   int // of the payload
	from, to netip.Addr
}

func appendIPv6Header(b []byte, h ipv6Header) []byte {
	b = binary.BigEndian.AppendUint32(b, 6<<28|h.class<<20)
	b = binary.BigEndian.AppendUint16(b, uint16(h.length))
	b = append(b, h.next, vrrp.HopLimit)
	return append(append(b, h.from.AsSlice()...), h.to.AsSlice()...)
}

// openFrames opens a socket that sends frames and receives nothing.
func openFrames(ifc netInterface, key socketKey) (*socket, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open packet socket for VRRP on %s: %w%s", ifc.Name, err, capabilityHint(err, "CAP_NET_RAW"))
	}
	for _, o := range [][2]int{{unix.SO_PRIORITY, priorityCtl}, {unix.SO_SNDBUF, sendBuffer}, {unix.SO_SNDBUFFORCE, sendBuffer}} {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, o[0], o[1]) // optional, as for the receive socket
	}
	return &socket{key: key, index: ifc.Index, fd: fd}, nil
}
