package ipvsadm

import (
	"net/netip"
	"strconv"

	"github.com/lvs-ha/lvs-ha/ipvs"
)

// The functions here append to a line instead of returning strings: a table with ten thousand servers has hundreds of
// thousands of columns.

// padTo appends spaces until the line is width characters longer than it was at start.
func padTo(b []byte, start, width int) []byte {
	for len(b) < start+width {
		b = append(b, ' ')
	}
	return b
}

// left appends a space and a number in a column.
func left[N ~int32 | ~uint32](b []byte, n N, width int) []byte {
	b = append(b, ' ')
	start := len(b)
	return padTo(strconv.AppendInt(b, int64(n), 10), start, width)
}

// leftText appends a space and a text in a column.
func leftText(b []byte, text string, width int) []byte {
	b = append(b, ' ')
	start := len(b)
	return padTo(append(b, text...), start, width)
}

// exactly appends a space and a number of at least eight characters.
func exactly(b []byte, n uint64) []byte {
	var digits [20]byte
	text := strconv.AppendUint(digits[:0], n, 10)
	b = append(b, ' ')
	b = padTo(b, len(b), 8-len(text))
	return append(b, text...)
}

// scaled appends a number of at most nine characters with its space.
func scaled(b []byte, n uint64) []byte {
	unit := byte('T')
	switch {
	case n < 1e8:
		return exactly(b, n)
	case n < 1e9:
		n, unit = n/1e3, 'K'
	case n < 1e11:
		n, unit = n/1e6, 'M'
	case n < 1e14:
		n, unit = n/1e9, 'G'
	default:
		n /= 1e12
	}
	b = exactly(b, n)
	copy(b[len(b)-9:], b[len(b)-8:]) // the unit replaces the space
	b[len(b)-1] = unit
	return b
}

// printer writes addresses and ports as numbers or names.
type printer struct {
	numeric bool
	names   Names
}

// endpoint appends host:port, an IPv6 host in brackets.
func (p printer) endpoint(b []byte, a netip.Addr, port uint16, protocol ipvs.Protocol) []byte {
	host, service := "", ""
	if !p.numeric {
		host = p.names.Host(a)
		if port != 0 {
			service = p.names.Service(port, protocol)
		}
	}
	if a.Is6() {
		b = append(b, '[')
	}
	if host != "" {
		b = append(b, host...)
	} else {
		b = appendAddress(b, a)
	}
	if a.Is6() {
		b = append(b, ']')
	}
	b = append(b, ':')
	if service != "" {
		return append(b, service...)
	}
	return strconv.AppendUint(b, uint64(port), 10)
}

// appendAddress writes an address as inet_ntop(3) does: the last 32 bits of an address with exactly 96 leading zero bits are
// written as IPv4, unless the upper 16 of them are zero.
func appendAddress(b []byte, a netip.Addr) []byte {
	if a.Is6() {
		w := a.As16()
		if [12]byte(w[:12]) == [12]byte{} && (w[12] != 0 || w[13] != 0) {
			return netip.AddrFrom4([4]byte(w[12:])).AppendTo(append(b, "::"...))
		}
	}
	return a.AppendTo(b)
}

// columnWidth is the width of an address and port in the table. Longer IPv4 ones are truncated.
const columnWidth = 28

// column appends host:port in a column.
func (p printer) column(b []byte, a netip.Addr, port uint16, protocol ipvs.Protocol) []byte {
	start := len(b)
	return padTo(p.cut(b, a, port, protocol), start, columnWidth)
}

// cut appends host:port, truncated if it is IPv4 and too long.
func (p printer) cut(b []byte, a netip.Addr, port uint16, protocol ipvs.Protocol) []byte {
	start := len(b)
	b = p.endpoint(b, a, port, protocol)
	if a.Is4() {
		b = b[:min(len(b), start+columnWidth)]
	}
	return b
}

// serviceName appends protocol and address, or the firewall mark, which ipvsadm prints as a signed number.
func (p printer) serviceName(b []byte, k ipvs.ServiceKey) []byte {
	if k.Mark != 0 {
		b = append(b, "FWM  "...)
		b = strconv.AppendInt(b, int64(int32(k.Mark)), 10)
		if k.Family == ipvs.IPv6 {
			b = append(b, " IPv6"...)
		}
		return b
	}
	start := len(b)
	b = padTo(append(b, protocolName(k.Protocol)...), start, len("TCP  "))
	return p.cut(b, k.Address, k.Port, k.Protocol)
}

func protocolName(p ipvs.Protocol) string {
	switch p {
	case ipvs.TCP:
		return "TCP"
	case ipvs.UDP:
		return "UDP"
	}
	return "SCTP"
}

// serviceFlags returns the names of the scheduler's flags, and whether there are any. For a scheduler with names for its
// first two flags, ipvsadm does not print the third.
func serviceFlags(s ipvs.Service) (text string, any bool) {
	const all = ipvs.FlagSched1 | ipvs.FlagSched2 | ipvs.FlagSched3
	flags := s.Flags & all
	if flags == 0 {
		return "", false
	}
	if s.Scheduler == "sh" || s.Scheduler == "mh" {
		flags &^= ipvs.FlagSched3
	}
	return ipvs.FormatFlags(s.Scheduler, flags), true
}

var forwardNames = map[ipvs.ForwardMethod]string{
	ipvs.Masquerade: "Masq", ipvs.Local: "Local", ipvs.Tunnel: "Tunnel", ipvs.DirectRoute: "Route",
}

func forwardName(m ipvs.ForwardMethod) string {
	if name, ok := forwardNames[m]; ok {
		return name
	}
	return "(null)"
}

var checksumMarks = map[ipvs.TunnelFlags]string{
	ipvs.TunnelNoChecksum: "-c", ipvs.TunnelChecksum: "+c", ipvs.TunnelRemoteChecksum: "r+c",
}

// tunnelText returns type, port and checksum of a tunnel.
func tunnelText(d ipvs.Destination) string {
	if d.Forward != ipvs.Tunnel {
		return "n/a"
	}
	switch d.TunnelType {
	case ipvs.TunnelGUE:
		return "gue:" + strconv.Itoa(int(d.TunnelPort)) + ":" + checksumMarks[d.TunnelFlags]
	case ipvs.TunnelGRE:
		return "gre:" + checksumMarks[d.TunnelFlags]
	}
	return d.TunnelType.String()
}
