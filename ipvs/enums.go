package ipvs

import (
	"fmt"
	"slices"
	"strings"
)

// names is the text of an enum: the first name of a value is the one that is printed.
type names[T ~uint8 | ~uint16 | ~uint32] []struct {
	value T
	names []string
}

func (n names[T]) text(v T) string {
	for _, e := range n {
		if e.value == v {
			return e.names[0]
		}
	}
	return fmt.Sprint(uint32(v))
}

func (n names[T]) parse(kind, s string) (T, error) {
	var known []string
	for _, e := range n {
		if slices.Contains(e.names, strings.ToLower(s)) {
			return e.value, nil
		}
		known = append(known, e.names[0])
	}
	var zero T
	return zero, fmt.Errorf("unknown %s %q: use one of %s", kind, s, strings.Join(known, ", "))
}

var protocolNames = names[Protocol]{{TCP, []string{"tcp"}}, {UDP, []string{"udp"}}, {SCTP, []string{"sctp"}}}

// String returns the protocol's name as ParseProtocol reads it.
func (p Protocol) String() string { return protocolNames.text(p) }

// ParseProtocol reads tcp, udp or sctp.
func ParseProtocol(s string) (Protocol, error) { return protocolNames.parse("protocol", s) }

// String returns ipv4 or ipv6.
func (f Family) String() string {
	switch f {
	case IPv4:
		return "ipv4"
	case IPv6:
		return "ipv6"
	}
	return fmt.Sprint(uint16(f))
}

var forwardNames = names[ForwardMethod]{
	{Masquerade, []string{"nat", "masq", "masquerade", "masquerading"}},
	{DirectRoute, []string{"dr", "route", "direct", "gatewaying"}},
	{Tunnel, []string{"tun", "tunnel", "ipip"}},
	{Local, []string{"local"}},
}

// String returns the method's name as ParseForward reads it: nat, dr, tun or local.
func (m ForwardMethod) String() string { return forwardNames.text(m) }

// ParseForward reads a forwarding method: nat, dr or tun, or ipvsadm's words for them.
func ParseForward(s string) (ForwardMethod, error) {
	return forwardNames.parse("forwarding method", s)
}

var tunnelNames = names[TunnelType]{{TunnelIPIP, []string{"ipip"}}, {TunnelGUE, []string{"gue"}}, {TunnelGRE, []string{"gre"}}}

// String returns the type's name as ParseTunnelType reads it.
func (t TunnelType) String() string { return tunnelNames.text(t) }

// ParseTunnelType reads ipip, gue or gre.
func ParseTunnelType(s string) (TunnelType, error) { return tunnelNames.parse("tunnel type", s) }

var tunnelFlagNames = names[TunnelFlags]{
	{TunnelNoChecksum, []string{"nocsum"}},
	{TunnelChecksum, []string{"csum"}},
	{TunnelRemoteChecksum, []string{"remcsum"}},
}

// String returns the flag's name as ipvsadm has it: nocsum, csum or remcsum.
func (f TunnelFlags) String() string { return tunnelFlagNames.text(f) }

// ParseTunnelFlags reads nocsum, csum or remcsum.
func ParseTunnelFlags(s string) (TunnelFlags, error) {
	return tunnelFlagNames.parse("tunnel checksum", s)
}
