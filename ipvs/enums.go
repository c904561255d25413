package ipvs

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// names maps values of an enum to names; the first name of a value is the one printed. A value without a name is printed
// and parsed as a number.
type names[T ~uint8 | ~uint16 | ~uint32] struct {
	kind   string
	values []value[T]
}

type value[T any] struct {
	value T
	names []string
}

func (n names[T]) text(v T) string {
	for _, e := range n.values {
		if e.value == v {
			return e.names[0]
		}
	}
	return strconv.FormatUint(uint64(v), 10)
}

func (n names[T]) parse(s string) (T, error) {
	known := make([]string, len(n.values))
	for i, e := range n.values {
		if slices.Contains(e.names, strings.ToLower(s)) {
			return e.value, nil
		}
		known[i] = e.names[0]
	}
	var zero T
	return zero, fmt.Errorf("unknown %s %q: use one of %s", n.kind, s, strings.Join(known, ", "))
}

func (n names[T]) unmarshal(v *T, b []byte) error {
	if number, err := strconv.ParseUint(string(b), 10, 32); err == nil && uint64(T(number)) == number {
		*v = T(number)
		return nil
	}
	parsed, err := n.parse(string(b))
	if err == nil {
		*v = parsed
	}
	return err
}

var protocolNames = names[Protocol]{"protocol", []value[Protocol]{
	{TCP, []string{"tcp"}}, {UDP, []string{"udp"}}, {SCTP, []string{"sctp"}},
}}

// String returns the protocol's name as ParseProtocol accepts it.
func (p Protocol) String() string { return protocolNames.text(p) }

// ParseProtocol parses tcp, udp or sctp.
func ParseProtocol(s string) (Protocol, error) { return protocolNames.parse(s) }

// MarshalText writes the name.
func (p Protocol) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText parses a name or a number.
func (p *Protocol) UnmarshalText(b []byte) error { return protocolNames.unmarshal(p, b) }

var familyNames = names[Family]{"address family", []value[Family]{{IPv4, []string{"ipv4"}}, {IPv6, []string{"ipv6"}}}}

// String returns ipv4 or ipv6.
func (f Family) String() string { return familyNames.text(f) }

// MarshalText writes the name.
func (f Family) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText parses a name or a number.
func (f *Family) UnmarshalText(b []byte) error { return familyNames.unmarshal(f, b) }

var forwardNames = names[ForwardMethod]{"forwarding method", []value[ForwardMethod]{
	{Masquerade, []string{"nat", "masq", "masquerade", "masquerading"}},
	{DirectRoute, []string{"dr", "route", "direct", "gatewaying"}},
	{Tunnel, []string{"tun", "tunnel", "ipip"}},
	{Local, []string{"local"}},
}}

// String returns the method's name as ParseForward accepts it: nat, dr, tun or local.
func (m ForwardMethod) String() string { return forwardNames.text(m) }

// ParseForward parses a forwarding method: nat, dr or tun, or ipvsadm's names for them.
func ParseForward(s string) (ForwardMethod, error) { return forwardNames.parse(s) }

// MarshalText writes the name.
func (m ForwardMethod) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText parses a name or a number.
func (m *ForwardMethod) UnmarshalText(b []byte) error { return forwardNames.unmarshal(m, b) }

var tunnelNames = names[TunnelType]{"tunnel type", []value[TunnelType]{
	{TunnelIPIP, []string{"ipip"}}, {TunnelGUE, []string{"gue"}}, {TunnelGRE, []string{"gre"}},
}}

// String returns the type's name as ParseTunnelType accepts it.
func (t TunnelType) String() string { return tunnelNames.text(t) }

// ParseTunnelType parses ipip, gue or gre.
func ParseTunnelType(s string) (TunnelType, error) { return tunnelNames.parse(s) }

// MarshalText writes the name.
func (t TunnelType) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText parses a name or a number.
func (t *TunnelType) UnmarshalText(b []byte) error { return tunnelNames.unmarshal(t, b) }

var tunnelFlagNames = names[TunnelFlags]{"tunnel checksum", []value[TunnelFlags]{
	{TunnelNoChecksum, []string{"nocsum"}}, {TunnelChecksum, []string{"csum"}}, {TunnelRemoteChecksum, []string{"remcsum"}},
}}

// String returns ipvsadm's name of the flag: nocsum, csum or remcsum.
func (f TunnelFlags) String() string { return tunnelFlagNames.text(f) }

// ParseTunnelFlags parses nocsum, csum or remcsum.
func ParseTunnelFlags(s string) (TunnelFlags, error) { return tunnelFlagNames.parse(s) }

// MarshalText writes the name.
func (f TunnelFlags) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText parses a name or a number.
func (f *TunnelFlags) UnmarshalText(b []byte) error { return tunnelFlagNames.unmarshal(f, b) }
