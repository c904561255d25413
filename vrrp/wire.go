package vrrp

import "net/netip"

// Protocol is VRRP's IP protocol number (RFC 9568, 5.1.1.4).
const Protocol = 112

// HopLimit is the required TTL or hop limit of a received multicast advert (RFC 9568, 5.1.1.3).
const HopLimit = 255

// MaxPacketLen is the length of the longest advert this package builds or reads: 255 IPv6 addresses.
const MaxPacketLen = headerLen + 255*16 + authDataLen + TrailerLen

// The multicast groups that adverts are sent to.
var (
	MulticastIPv4 = netip.AddrFrom4([4]byte{224, 0, 0, 18})
	MulticastIPv6 = netip.MustParseAddr("ff02::12")
)

// MulticastAddress returns the standard destination of a family's adverts.
func MulticastAddress(f Family) netip.Addr {
	if f == IPv6 {
		return MulticastIPv6
	}
	return MulticastIPv4
}

// Multicast returns the multicast address of the instance's adverts.
func (in *Instance) Multicast() netip.Addr {
	if in.MulticastAddress.IsValid() {
		return in.MulticastAddress
	}
	return MulticastAddress(in.Family)
}

// Lengths in bytes, and the packet type (RFC 9568, 5.1).
const (
	headerLen   = 8
	authDataLen = 8 // version 2 only, after the addresses
	checksumAt  = 6
	advertType  = 1
	minEthernet = 46 // a frame's payload is padded to this
	ipv4Header  = 20 // without options
	ethernetMTU = 1500
	ipv6Header  = 40
	maxCentisec = 0x0fff // centiseconds in 12 bits
)

func (f Family) addrLen() int {
	if f == IPv6 {
		return 16
	}
	return 4
}

// has reports whether an address belongs to the family.
func (f Family) has(a netip.Addr) bool { return a.BitLen() == 8*f.addrLen() }
