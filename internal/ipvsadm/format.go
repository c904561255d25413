package ipvsadm

import (
	"net/netip"
	"strconv"

	"github.com/lvs-ha/lvs-ha/ipvs"
)

// The functions here append to a line rather than return strings: a table of ten thousand servers has hundreds of
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
	copy(b[len(b)-9:], b[len(b)-8:]) // the unit takes the place of the space
	b[len(b)-1] = unit
	return b
}

// printer writes addresses and ports as numbers or by name.
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

// appendAddress writes an address as C's inet_ntop does: one of 96 zero bits and more than 16 others ends as IPv4 does.
func appendAddress(b []byte, a netip.Addr) []byte {
	if a.Is6() {
		w := a.As16()
		if [12]byte(w[:12]) == [12]byte{} && (w[12] != 0 || w[13] != 0) {
			return netip.AddrFrom4([4]byte(w[12:])).AppendTo(append(b, "::"...))
		}
	}
	return a.AppendTo(b)
}

// columnWidth is that of an address and port in the table. A longer one of IPv4 is cut.
const columnWidth = 28

// column appends host:port in a column.
func (p printer) column(b []byte, a netip.Addr, port uint16, protocol ipvs.Protocol) []byte {
	start := len(b)
	return padTo(p.cut(b, a, port, protocol), start, columnWidth)
}

// cut appends host:port, without what is too long if it is of IPv4.
func (p printer) cut(b []byte, a netip.Addr, port uint16, protocol ipvs.Protocol) []byte {
	start := len(b)
	b = p.endpoint(b, a, port, protocol)
	if a.Is4() {
		b = b[:min(len(b), start+columnWidth)]
	}
	return b
}

// serviceName appends protocol and address, or the firewall mark, which ipvsadm takes for a signed number.
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

// serviceFlags returns the scheduler's flags by name, and whether there are any. ipvsadm does not print a third flag of
// a scheduler that names its first two.
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
