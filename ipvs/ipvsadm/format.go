package ipvsadm

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/lvs-ha/lvs-ha/ipvs"
)

// printer writes addresses and ports as numbers or by name.
type printer struct {
	numeric bool
	names   Names
}

// endpoint returns host:port, an IPv6 host in brackets.
func (p printer) endpoint(a netip.Addr, port uint16, protocol ipvs.Protocol) string {
	host, service := addressText(a), strconv.Itoa(int(port))
	if !p.numeric {
		if name := p.names.Host(a); name != "" {
			host = name
		}
		if name := p.names.Service(port, protocol); name != "" && port != 0 {
			service = name
		}
	}
	if a.Is6() {
		host = "[" + host + "]"
	}
	return host + ":" + service
}

// addressText writes an address as C's inet_ntop does: one of 96 zero bits and more than 16 others ends as IPv4 does.
func addressText(a netip.Addr) string {
	if !a.Is6() {
		return a.String()
	}
	b := a.As16()
	if [12]byte(b[:12]) == [12]byte{} && (b[12] != 0 || b[13] != 0) {
		return "::" + netip.AddrFrom4([4]byte(b[12:])).String()
	}
	return a.String()
}

// column returns what endpoint does, filled up to 28 characters, and cut to as many for an IPv4 address.
func (p printer) column(a netip.Addr, port uint16, protocol ipvs.Protocol) string {
	text := p.endpoint(a, port, protocol)
	if a.Is4() {
		return fmt.Sprintf("%-28.28s", text)
	}
	return fmt.Sprintf("%-28s", text)
}

// serviceName returns protocol and address, or the firewall mark, which ipvsadm takes for a signed number.
func (p printer) serviceName(k ipvs.ServiceKey) string {
	if k.Mark != 0 {
		name := fmt.Sprintf("FWM  %d", int32(k.Mark))
		if k.Family == ipvs.IPv6 {
			name += " IPv6"
		}
		return name
	}
	return fmt.Sprintf("%-4s %s", protocolName(k.Protocol), strings.TrimRight(p.column(k.Address, k.Port, k.Protocol), " "))
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

// serviceMask returns the netmask, if it is not the one of single clients.
func serviceMask(s ipvs.Service) string {
	switch {
	case s.Family == ipvs.IPv6 && s.Netmask != hostPrefix:
		return strconv.Itoa(int(s.Netmask))
	case s.Family == ipvs.IPv4 && s.Netmask != hostMask:
		m := s.Netmask
		return netip.AddrFrom4([4]byte{byte(m >> 24), byte(m >> 16), byte(m >> 8), byte(m)}).String()
	}
	return ""
}

// scaled returns a counter of at most nine characters with its leading space.
func scaled(n uint64) string {
	switch {
	case n < 1e8:
		return fmt.Sprintf(" %8d", n)
	case n < 1e9:
		return fmt.Sprintf("%8dK", n/1e3)
	case n < 1e11:
		return fmt.Sprintf("%8dM", n/1e6)
	case n < 1e14:
		return fmt.Sprintf("%8dG", n/1e9)
	}
	return fmt.Sprintf("%8dT", n/1e12)
}

func exactly(n uint64) string { return fmt.Sprintf(" %8d", n) }

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
		return fmt.Sprintf("gue:%d:%s", d.TunnelPort, checksumMarks[d.TunnelFlags])
	case ipvs.TunnelGRE:
		return "gre:" + checksumMarks[d.TunnelFlags]
	}
	return d.TunnelType.String()
}
