package vrrp

import (
	"encoding/binary"
	"net/netip"
)

// checksum is the Internet checksum (RFC 1071) over several pieces, all but the last of even length.
type checksum uint64

func (c *checksum) add(b []byte) {
	sum := uint64(*c)
	for len(b) >= 4 {
		sum += uint64(binary.BigEndian.Uint32(b))
		b = b[4:]
	}
	if len(b) >= 2 {
		sum += uint64(binary.BigEndian.Uint16(b))
		b = b[2:]
	}
	if len(b) == 1 {
		sum += uint64(b[0]) << 8
	}
	*c = checksum(sum)
}

// addPseudoHeader adds the addresses, the length and the protocol (RFC 8200, 8.1, and RFC 793, 3.1: the layouts differ,
// but the sums are equal).
func (c *checksum) addPseudoHeader(source, destination netip.Addr, length int) {
	for _, a := range [...]netip.Addr{source, destination} {
		if a.Is4() {
			v := a.As4()
			c.add(v[:])
			continue
		}
		v := a.As16()
		c.add(v[:])
	}
	*c += checksum(length) + Protocol
}

// value returns the checksum for the packet. Over a packet that includes its correct checksum, it is 0.
func (c checksum) value() uint16 {
	for c > 0xffff {
		c = c>>16 + c&0xffff
	}
	return ^uint16(c)
}
