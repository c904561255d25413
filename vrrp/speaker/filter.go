package speaker

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// A raw socket receives packets from all interfaces as soon as it exists. refuseAll keeps its queue empty until the socket
// is bound and has its final filter.
var refuseAll = []bpf.Instruction{bpf.RetConstant{Val: 0}}

const (
	wholePacket     = 1 << 16
	ipv4ProtocolAt  = 9
	ipv4DestAt      = 16
	ipv4Multicast   = 0xe0000000 // 224.0.0.0/4
	ipv4ClassDBits  = 0xf0000000
	ipv4BroadcastTo = 0xffffffff
)

// filterFor returns the filter of a receive socket. The IPv4 filter sees the IP header and drops packets sent to the
// broadcast address or to another multicast group. It accepts all other packets, valid or not, because packets dropped
// here cannot be counted by reason. An IPv6 filter sees only the VRRP header.
func filterFor(key socketKey) []bpf.Instruction {
	only := fromOnly(key.From)
	if key.Family == vrrp.IPv6 {
		return append(only, bpf.RetConstant{Val: wholePacket})
	}
	group := key.group().As4()
	return append(only,
		bpf.LoadAbsolute{Off: ipv4ProtocolAt, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: vrrp.Protocol, SkipTrue: 6},
		bpf.LoadAbsolute{Off: ipv4DestAt, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: binary.BigEndian.Uint32(group[:]), SkipTrue: 3},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: ipv4BroadcastTo, SkipTrue: 3},
		bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: ipv4ClassDBits},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: ipv4Multicast, SkipTrue: 1},
		bpf.RetConstant{Val: wholePacket},
		bpf.RetConstant{Val: 0},
	)
}

// fromOnly returns the beginning of a filter that drops frames of other MAC addresses.
func fromOnly(mac [6]byte) []bpf.Instruction {
	const sourceAt = 0xffe00000 + 6 // SKF_LL_OFF of linux/filter.h: relative to the Ethernet header
	if mac == [6]byte{} {
		return nil
	}
	return []bpf.Instruction{
		bpf.LoadAbsolute{Off: sourceAt, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: binary.BigEndian.Uint32(mac[:]), SkipTrue: 2},
		bpf.LoadAbsolute{Off: sourceAt + 4, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(binary.BigEndian.Uint16(mac[4:])), SkipTrue: 1},
		bpf.RetConstant{Val: 0},
	}
}

// sniffIPv4 accepts adverts. Filters of packet sockets see the packet from its network header.
var sniffIPv4 = []bpf.Instruction{
	bpf.LoadAbsolute{Off: ipv4ProtocolAt, Size: 1},
	bpf.JumpIf{Cond: bpf.JumpEqual, Val: vrrp.Protocol, SkipFalse: 1},
	bpf.RetConstant{Val: wholePacket},
	bpf.RetConstant{Val: 0},
}

// sniffARP returns a filter that accepts ARP packets sent from one of the addresses. Without it, the packets of a large or
// flooded network would fill the socket's buffer, and those of another host with our address would be lost.
func sniffARP(addresses []netip.Addr) []bpf.Instruction {
	return acceptOneOf([]bpf.Instruction{bpf.LoadAbsolute{Off: arpSenderAt, Size: 4}}, addresses)
}

// sniffIPv6 returns a filter that accepts adverts, and neighbour advertisements for addresses that end like one of the given ones.
func sniffIPv6(addresses []netip.Addr) []bpf.Instruction {
	return acceptOneOf([]bpf.Instruction{
		bpf.LoadAbsolute{Off: ipv6NextHeader, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: vrrp.Protocol, SkipFalse: 1},
		bpf.RetConstant{Val: wholePacket},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.IPPROTO_ICMPV6, SkipTrue: 1},
		bpf.RetConstant{Val: 0},
		bpf.LoadAbsolute{Off: ipv6HeaderLen, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: neighborAdvert, SkipTrue: 1},
		bpf.RetConstant{Val: 0},
		bpf.LoadAbsolute{Off: ipv6HeaderLen + neighborAdvToAt + 12, Size: 4},
	}, addresses)
}

// maxFiltered is the number of addresses that a filter compares: it must fit in net.core.optmem_max, which is 20 KiB by
// default.
const maxFiltered = 256

// acceptOneOf completes a filter that has loaded the last four bytes of an address. With too many addresses, it accepts all between
// the first and the last.
func acceptOneOf(filter []bpf.Instruction, addresses []netip.Addr) []bpf.Instruction {
	var ends []uint32
	for _, a := range addresses {
		b := a.As16()
		ends = append(ends, binary.BigEndian.Uint32(b[12:]))
	}
	slices.Sort(ends)
	ends = slices.Compact(ends)
	if n := len(ends); n > maxFiltered {
		return append(filter,
			bpf.JumpIf{Cond: bpf.JumpLessThan, Val: ends[0], SkipTrue: 1},
			bpf.JumpIf{Cond: bpf.JumpGreaterThan, Val: ends[n-1], SkipFalse: 1},
			bpf.RetConstant{Val: 0},
			bpf.RetConstant{Val: wholePacket})
	}
	for _, end := range ends {
		filter = append(filter,
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: end, SkipFalse: 1},
			bpf.RetConstant{Val: wholePacket})
	}
	return append(filter, bpf.RetConstant{Val: 0})
}

func attachFilter(fd int, filter []bpf.Instruction) error {
	raw, err := bpf.Assemble(filter)
	if err != nil {
		return fmt.Errorf("assemble packet filter: %w", err)
	}
	code := make([]unix.SockFilter, len(raw))
	for i, ins := range raw {
		code[i] = unix.SockFilter{Code: ins.Op, Jt: ins.Jt, Jf: ins.Jf, K: ins.K}
	}
	prog := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &prog); err != nil {
		return fmt.Errorf("attach packet filter: %w", err)
	}
	return nil
}
