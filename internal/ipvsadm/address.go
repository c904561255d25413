package ipvsadm

import (
	"net/netip"
	"strings"

	"github.com/lvs-ha/lvs-ha/ipvs"
)

// endpoint is a parsed host[:port].
type endpoint struct {
	address netip.Addr
	port    uint16
}

// parseEndpoint parses host[:port]. An IPv6 address with a port is in brackets, one without a port is not; a host name
// means its IPv4 address. A port name is looked up for the protocol; without a protocol, names are not accepted.
func parseEndpoint(s string, p ipvs.Protocol, names Names) (endpoint, bool) {
	if inner, found := strings.CutPrefix(s, "["); found {
		host, port, found := strings.Cut(inner, "]:")
		if !found {
			return endpoint{}, false
		}
		if address, ok := parseIPv6(host); ok {
			return withPort(address, port, p, names)
		}
		// ipvsadm accepts an IPv4 host in brackets and ignores what follows.
		address, ok := parseHost(host, names)
		return endpoint{address: address}, ok
	}
	if address, ok := parseIPv6(s); ok {
		return endpoint{address: address}, true
	}
	colon := strings.LastIndexByte(s, ':')
	if colon < 0 {
		if strings.Trim(s, "0123456789") == "" {
			return endpoint{}, false // a port without a host
		}
		address, ok := parseHost(s, names)
		return endpoint{address: address}, ok
	}
	address, ok := parseHost(s[:colon], names)
	if !ok {
		return endpoint{}, false
	}
	return withPort(address, s[colon+1:], p, names)
}

// parseHost parses an IPv4 address or looks up a host name.
func parseHost(s string, names Names) (netip.Addr, bool) {
	if address, ok := parseIPv4(s); ok {
		return address, true
	}
	return names.Address(s)
}

func withPort(a netip.Addr, port string, p ipvs.Protocol, names Names) (endpoint, bool) {
	if n, ok := parseNumber(port, 0, 65535); ok {
		return endpoint{a, uint16(n)}, true
	}
	n, ok := names.Port(port, p)
	return endpoint{a, n}, ok
}
