package lab

import "golang.org/x/net/bpf"

// Numbers of protocols for filters: EtherType (IEEE 802), and IP protocol (IANA).
const (
	EtherTypeIPv4 = 0x0800
	EtherTypeARP  = 0x0806
	EtherTypeIPv6 = 0x86dd

	ProtocolTCP    = 6
	ProtocolUDP    = 17
	ProtocolICMPv6 = 58
	ProtocolVRRP   = 112
)

// Filter says which frames a capture takes: those of one of the EtherTypes, and those of IPv4 or IPv6 with one of the
// protocols. The zero Filter takes all.
type Filter struct {
	EtherTypes []uint16
	Protocols  []uint8
}

// Announcements are VRRP adverts, ARP, and ICMPv6 with its neighbour advertisements.
func Announcements() Filter {
	return Filter{EtherTypes: []uint16{EtherTypeARP}, Protocols: []uint8{ProtocolVRRP, ProtocolICMPv6}}
}

// offsets in an Ethernet frame
const (
	offEtherType    = 12
	offIPv4Protocol = 14 + 9
	offIPv6Next     = 14 + 6
)

// program is a socket filter. It is linear: a test of one value accepts at once or goes on.
func (f Filter) program() []bpf.Instruction {
	const snapLength = 1 << 16
	accept := bpf.RetConstant{Val: snapLength}
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
