package lab

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/net/bpf"
)

// Protocol numbers for filters: EtherType (IEEE 802), and IP protocol (IANA).
const (
	EtherTypeIPv4 = 0x0800
	EtherTypeARP  = 0x0806
	EtherTypeIPv6 = 0x86dd

	ProtocolTCP    = 6
	ProtocolUDP    = 17
	ProtocolICMPv6 = 58
	ProtocolVRRP   = 112
)

// Filter selects the frames of a capture: those with one of the EtherTypes, and those of IPv4 or IPv6 with one of the
// protocols. The zero Filter selects all.
type Filter struct {
	EtherTypes []uint16
	Protocols  []uint8

	adverts []netip.Addr
}

// AdvertsOf selects the VRRP adverts over IPv4 of some routers, so that a capture can ignore a flood.
func AdvertsOf(sources ...netip.Addr) Filter { return Filter{adverts: sources} }

// Announcements selects VRRP adverts, ARP, and ICMPv6, which includes neighbour advertisements.
func Announcements() Filter {
	return Filter{EtherTypes: []uint16{EtherTypeARP}, Protocols: []uint8{ProtocolVRRP, ProtocolICMPv6}}
}

// offsets in an Ethernet frame
const (
	offEtherType    = 12
	offIPv4Protocol = 14 + 9
	offIPv4Source   = 14 + 12
	offIPv6Next     = 14 + 6
)

// program is a linear socket filter: each test of a value either accepts or continues.
func (f Filter) program() []bpf.Instruction {
	const snapLength = 1 << 16
	accept := bpf.RetConstant{Val: snapLength}
	if len(f.adverts) > 0 {
		return f.advertProgram(accept)
	}
	if len(f.EtherTypes) == 0 && len(f.Protocols) == 0 {
		return []bpf.Instruction{accept}
	}
	loadType := bpf.LoadAbsolute{Off: offEtherType, Size: 2}
	out := []bpf.Instruction{loadType}
	for _, t := range f.EtherTypes {
		out = append(out, bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: uint32(t), SkipTrue: 1}, accept)
	}
	for _, family := range []struct{ etherType, protocol uint32 }{
		{EtherTypeIPv4, offIPv4Protocol}, {EtherTypeIPv6, offIPv6Next},
	} {
		skip := uint8(1 + 2*len(f.Protocols))
		out = append(out,
			bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: family.etherType, SkipTrue: skip},
			bpf.LoadAbsolute{Off: family.protocol, Size: 1})
		for _, p := range f.Protocols {
			out = append(out, bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: uint32(p), SkipTrue: 1}, accept)
		}
		out = append(out, loadType)
	}
	return append(out, bpf.RetConstant{Val: 0})
}

func (f Filter) advertProgram(accept bpf.RetConstant) []bpf.Instruction {
	drop := bpf.RetConstant{Val: 0}
	out := []bpf.Instruction{
		bpf.LoadAbsolute{Off: offEtherType, Size: 2}, bpf.JumpIf{Cond: bpf.JumpEqual, Val: EtherTypeIPv4, SkipTrue: 1}, drop,
		bpf.LoadAbsolute{Off: offIPv4Protocol, Size: 1}, bpf.JumpIf{Cond: bpf.JumpEqual, Val: ProtocolVRRP, SkipTrue: 1}, drop,
		bpf.LoadAbsolute{Off: offIPv4Source, Size: 4},
	}
	for _, a := range f.adverts {
		out = append(out, bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: binary.BigEndian.Uint32(a.AsSlice()), SkipTrue: 1}, accept)
	}
	return append(out, drop)
}
