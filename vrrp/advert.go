package vrrp

import (
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/secret"
)

// AuthType is version 2's authentication type (RFC 2338, 5.3.6).
type AuthType uint8

// The authentication types. AuthHeader is IPsec's and not supported.
const (
	AuthNone   AuthType = 0
	AuthSimple AuthType = 1
	AuthHeader AuthType = 2
)

// AuthData is version 2's authentication data: the password, padded with zeros.
type AuthData [authDataLen]byte

// Format implements fmt.Formatter and never prints the password.
func (AuthData) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, secret.Hidden) }

// Advert is a VRRP advertisement, the only packet type of the protocol.
type Advert struct {
	Version         uint8
	Family          Family
	VirtualRouterID uint8
	Priority        uint8
	Interval        time.Duration
	Addresses       []netip.Addr
	AuthType        AuthType     // version 2
	AuthData        AuthData     // version 2
	Checksum        ChecksumMode // version 3 over IPv4: what the checksum covers
	Signed          bool         // a trailer follows; see Authenticator
}

// Advert returns the instance's advertisement with the given priority. It shares no memory with the instance.
func (in *Instance) Advert(priority uint8) Advert {
	a := Advert{
		Version:         in.Version,
		Family:          in.Family,
		VirtualRouterID: in.VirtualRouterID,
		Priority:        priority,
		Interval:        in.AdvertiseInterval,
		Addresses:       in.advertised(),
		Signed:          in.Signs(),
	}
	switch {
	case in.Version == 2 && in.AuthPass != "":
		a.AuthType = AuthSimple
		a.AuthData = authData(in.AuthPass.Reveal())
	case in.Version == 3 && in.Family == IPv4:
		a.Checksum = in.Checksum
	}
	return a
}

func authData(pass string) (d AuthData) {
	copy(d[:], pass)
	return d
}

// toAdvertise returns the virtual addresses that are not excluded from adverts.
func (in *Instance) toAdvertise() []netip.Addr {
	addrs := make([]netip.Addr, 0, len(in.Addresses))
	for _, a := range in.Addresses {
		if !a.Excluded {
			addrs = append(addrs, a.Prefix.Addr())
		}
	}
	return addrs
}

// AdvertisesAll reports whether an advert has room for all addresses that are not excluded.
func (in *Instance) AdvertisesAll() bool { return len(in.toAdvertise()) <= in.maxAdvertised() }

// advertised returns the virtual addresses in the order of the packet: for IPv6, link-local addresses come first
// (RFC 9568, 5.2.9). Addresses that do not fit in the packet are omitted, but are still on the interface.
func (in *Instance) advertised() []netip.Addr {
	addrs := in.toAdvertise()
	if in.Family == IPv6 {
		slices.SortStableFunc(addrs, func(a, b netip.Addr) int {
			switch {
			case a.IsLinkLocalUnicast() == b.IsLinkLocalUnicast():
				return 0
			case a.IsLinkLocalUnicast():
				return -1
			default:
				return 1
			}
		})
	}
	return addrs[:min(len(addrs), in.maxAdvertised())]
}

// maxAdvertised returns the maximum number of addresses in an advert: for IPv4 the maximum of the count byte, for IPv6
// as many as fit in an Ethernet frame.
func (in *Instance) maxAdvertised() int {
	room := ethernetMTU - ipv6Header - headerLen
	switch {
	case in.Family == IPv4:
		return 255
	case in.Signs():
		room -= TrailerLen
	}
	return room / 16
}

// Append appends the packet, without its IP header, to b. The checksum covers source and destination. A trailer is left
// empty; Authenticator.Sign fills it in.
func (a *Advert) Append(b []byte, source, destination netip.Addr) ([]byte, error) {
	units, err := a.wireInterval()
	if err != nil {
		return b, err
	}
	if n := len(a.Addresses); n > 255 {
		return b, fmt.Errorf("build an advert with %d addresses: want at most 255", n)
	}
	start := len(b)
	b = append(b, a.Version<<4|advertType, a.VirtualRouterID, a.Priority, byte(len(a.Addresses)))
	if a.Version == 2 {
		b = append(b, byte(a.AuthType), byte(units))
	} else {
		b = binary.BigEndian.AppendUint16(b, units)
	}
	b = append(b, 0, 0)
	for _, addr := range a.Addresses {
		if !a.Family.has(addr) {
			return b[:start], fmt.Errorf("build an %s advert: %s is of another address family", a.Family, addr)
		}
		b = appendAddr(b, addr)
	}
	if a.Version == 2 {
		b = append(b, a.AuthData[:]...)
	}
	var sum checksum
	if a.Version == 3 && a.Checksum == ChecksumPseudoHeader {
		if !a.Family.has(source) || !a.Family.has(destination) {
			return b[:start], fmt.Errorf("build an %s advert from %s to %s: addresses of another family", a.Family, source, destination)
		}
		sum.addPseudoHeader(source, destination, len(b)-start)
	}
	sum.add(b[start:])
	binary.BigEndian.PutUint16(b[start+checksumAt:], sum.value())
	if a.Signed {
		b = append(b, make([]byte, TrailerLen)...)
	}
	return b, nil
}

// wireInterval returns the interval in the unit of the version: seconds (2) or centiseconds (3).
func (a *Advert) wireInterval() (uint16, error) {
	switch {
	case a.Version == 2 && a.Family == IPv4:
		if msg := intervalProblem(2, a.Interval); msg != "" {
			return 0, fmt.Errorf("build an advert: interval %s: %s", a.Interval, msg)
		}
		return uint16(a.Interval / time.Second), nil
	case a.Version == 3:
		if msg := intervalProblem(3, a.Interval); msg != "" {
			return 0, fmt.Errorf("build an advert: interval %s: %s", a.Interval, msg)
		}
		return uint16(a.Interval / centisecond), nil
	}
	return 0, fmt.Errorf("build an advert: there is no version %d for %s", a.Version, a.Family)
}

func appendAddr(b []byte, a netip.Addr) []byte {
	if a.Is4() {
		v := a.As4()
		return append(b, v[:]...)
	}
	v := a.As16()
	return append(b, v[:]...)
}
