package speaker

import (
	"encoding/binary"
	"fmt"
	"iter"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// attributes returns the types and values of a message's attributes (netlink(7)). It ends at a malformed one.
func attributes(b []byte) iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		for len(b) >= unix.SizeofRtAttr {
			length := int(binary.NativeEndian.Uint16(b))
			if length < unix.SizeofRtAttr || length > len(b) || !yield(binary.NativeEndian.Uint16(b[2:]), b[unix.SizeofRtAttr:length]) {
				return
			}
			b = b[min((length+unix.NLA_ALIGNTO-1)&^(unix.NLA_ALIGNTO-1), len(b)):]
		}
	}
}

func uint32Of(b []byte) uint32 {
	if len(b) < 4 {
		return 0
	}
	return binary.NativeEndian.Uint32(b)
}

func verdictOf(number uint8) vrrp.Verdict {
	for v, n := range verdicts {
		if n == number {
			return v
		}
	}
	return vrrp.Verdict(fmt.Sprintf("type %d", number))
}

func anyPrefix(family uint8) netip.Prefix {
	if family == unix.AF_INET6 {
		return netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	}
	return netip.PrefixFrom(netip.IPv4Unspecified(), 0)
}

func prefixOf(value []byte, bits uint8) netip.Prefix {
	a, _ := netip.AddrFromSlice(value)
	return netip.PrefixFrom(a, int(bits))
}

// parseRoute reads a route of ours.
func parseRoute(b []byte) (kernelEntry, bool) {
	if len(b) < unix.SizeofRtMsg {
		return kernelEntry{}, false
	}
	m := nl.DeserializeRtMsg(b)
	if m.Protocol != routeProtocol || m.Flags&unix.RTM_F_CLONED != 0 {
		return kernelEntry{}, false
	}
	r := &vrrp.Route{Destination: anyPrefix(m.Family), Table: uint32(m.Table), Verdict: verdictOf(m.Type)}
	out := kernelEntry{entry: entry{route: r}, scope: m.Scope}
	for kind, value := range attributes(b[unix.SizeofRtMsg:]) {
		switch kind {
		case unix.RTA_DST:
			r.Destination = prefixOf(value, m.Dst_len)
		case unix.RTA_TABLE:
			r.Table = uint32Of(value)
		case unix.RTA_PRIORITY:
			r.Metric = uint32Of(value)
		case unix.RTA_GATEWAY:
			r.Via, _ = netip.AddrFromSlice(value)
		case unix.RTA_PREFSRC:
			r.Source, _ = netip.AddrFromSlice(value)
		case unix.RTA_OIF:
			out.index = int(uint32Of(value))
		case unix.RTA_METRICS:
			parseMetrics(r, value)
		case unix.RTA_MULTIPATH:
			out.parseHops(value)
		}
	}
	return out, true
}

func parseMetrics(r *vrrp.Route, b []byte) {
	for number, value := range attributes(b) {
		if number == unix.RTAX_MTU {
			r.MTU = uint32Of(value)
			continue
		}
		for name, known := range vrrp.PathMetrics {
			if known.Number != number {
				continue
			}
			if r.PathMetrics == nil {
				r.PathMetrics = map[string]uint32{}
			}
			r.PathMetrics[name] = uint32Of(value)
		}
	}
}

func (p *kernelEntry) parseHops(b []byte) {
	for len(b) >= unix.SizeofRtNexthop {
		n := nl.DeserializeRtNexthop(b)
		if int(n.RtNexthop.Len) < unix.SizeofRtNexthop || int(n.RtNexthop.Len) > len(b) {
			return
		}
		hop := vrrp.NextHop{Weight: int(n.Hops) + 1}
		for kind, value := range attributes(b[unix.SizeofRtNexthop:n.RtNexthop.Len]) {
			if kind == unix.RTA_GATEWAY {
				hop.Via, _ = netip.AddrFromSlice(value)
			}
		}
		p.route.NextHops, p.hops = append(p.route.NextHops, hop), append(p.hops, int(n.Ifindex))
		b = b[min(int(n.RtNexthop.Len+3)&^3, len(b)):]
	}
}

// parseRule reads a rule of ours.
func parseRule(b []byte) (kernelEntry, bool) {
	if len(b) < unix.SizeofRtMsg {
		return kernelEntry{}, false
	}
	m := nl.DeserializeRtMsg(b) // struct fib_rule_hdr has the same layout
	r := &vrrp.Rule{Family: vrrp.IPv4, Table: uint32(m.Table), Verdict: verdictOf(m.Type)}
	if m.Family == unix.AF_INET6 {
		r.Family = vrrp.IPv6
	}
	ours := false
	for kind, value := range attributes(b[unix.SizeofRtMsg:]) {
		switch kind {
		case nl.FRA_PROTOCOL:
			ours = len(value) > 0 && value[0] == routeProtocol
		case nl.FRA_PRIORITY:
			r.Priority = uint32Of(value)
		case nl.FRA_SRC:
			r.From = prefixOf(value, m.Src_len)
		case nl.FRA_DST:
			r.To = prefixOf(value, m.Dst_len)
		case nl.FRA_TABLE:
			r.Table = uint32Of(value)
		case nl.FRA_FWMARK:
			r.Mark = uint32Of(value)
		case nl.FRA_FWMASK:
			r.Mask = uint32Of(value)
		case nl.FRA_IIFNAME:
			r.InputInterface = unix.ByteSliceToString(value)
		case nl.FRA_OIFNAME:
			r.OutputInterface = unix.ByteSliceToString(value)
		}
	}
	return kernelEntry{entry: entry{rule: r}}, ours
}
