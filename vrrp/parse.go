package vrrp

import (
	"encoding/binary"
	"net/netip"
	"time"
)

// Envelope holds the IP header fields of a received packet.
type Envelope struct {
	Family      Family
	Source      netip.Addr
	Destination netip.Addr
	HopLimit    uint8 // or TTL
}

// Parse decodes the packet that follows an IP header into a, reusing the memory of a.Addresses. It makes only the checks
// that need no configuration; Instance.Check makes the others. If the result is not NotDropped, a is undefined.
func Parse(payload []byte, e Envelope, a *Advert) DropReason {
	if len(payload) < headerLen {
		return DropTruncated
	}
	version, kind, count := payload[0]>>4, payload[0]&0x0f, int(payload[3])
	switch {
	case version != 2 && version != 3, version == 2 && e.Family == IPv6:
		return DropVersion
	case kind != advertType:
		return DropType
	}
	size := headerLen + count*e.Family.addrLen()
	if version == 2 {
		size += authDataLen
	}
	signed := len(payload) == size+TrailerLen
	switch {
	case signed:
	case len(payload) < size:
		return DropTruncated
	case len(payload) > size && len(payload) > minEthernet-ipv4Header:
		return DropLength
	}
	pdu := payload[:size]

	*a = Advert{
		Version:         version,
		Family:          e.Family,
		VirtualRouterID: payload[1],
		Priority:        payload[2],
		Addresses:       a.Addresses[:0],
		Signed:          signed,
	}
	covered := pdu
	if signed && e.Family == IPv6 {
		covered = payload
	}
	if !a.verify(covered, e) {
		return DropChecksum
	}
	if version == 2 {
		a.AuthType = AuthType(payload[4])
		a.Interval = time.Duration(payload[5]) * time.Second
		a.AuthData = AuthData(pdu[size-authDataLen:])
	} else {
		a.Interval = time.Duration(binary.BigEndian.Uint16(payload[4:])&maxCentisec) * centisecond
	}
	if a.Interval == 0 {
		return DropIntervalZero
	}
	a.readAddresses(payload[headerLen:], count)
	return NotDropped
}

// verify checks the checksum and records which of the two interpretations of the RFC it follows.
func (a *Advert) verify(packet []byte, e Envelope) bool {
	var plain checksum
	plain.add(packet)
	if a.Version == 2 {
		return plain.value() == 0
	}
	covered := plain
	covered.addPseudoHeader(e.Source, e.Destination, len(packet))
	if covered.value() == 0 {
		return true
	}
	if a.Family == IPv4 && plain.value() == 0 {
		a.Checksum = ChecksumPacketOnly
		return true
	}
	return false
}

func (a *Advert) readAddresses(b []byte, count int) {
	for range count {
		if a.Family == IPv6 {
			a.Addresses = append(a.Addresses, netip.AddrFrom16([16]byte(b)))
			b = b[16:]
			continue
		}
		a.Addresses = append(a.Addresses, netip.AddrFrom4([4]byte(b)))
		b = b[4:]
	}
}
