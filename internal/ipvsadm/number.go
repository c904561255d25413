package ipvsadm

import (
	"net/netip"
	"strconv"
	"strings"
)

// maxTimeout is ipvsadm's longest timeout: 31 days.
const maxTimeout = 86400 * 31

// parseNumber parses an entire decimal number as strtol(3) does: leading white space and a sign are allowed.
func parseNumber(s string, low, high int64) (int64, bool) {
	n, err := strconv.ParseInt(strings.TrimLeft(s, " \t\n\v\f\r"), 10, 64)
	return n, err == nil && low <= n && n <= high
}

// parseLeadingNumber parses a number as atoi(3) does: trailing text is ignored, and the result is 0 if there is no number.
func parseLeadingNumber(s string) int64 {
	s = strings.TrimLeft(s, " \t\n\v\f\r")
	end := 0
	for end < len(s) && (s[end] >= '0' && s[end] <= '9' || end == 0 && (s[0] == '+' || s[0] == '-')) {
		end++
	}
	n, _ := strconv.ParseInt(s[:end], 10, 64) // 0 without digits; the nearest limit if out of range
	return int64(int32(n))
}

// parseIPv4 parses an address as inet_aton(3) does: one to four decimal, octal or hexadecimal numbers, of which the last
// fills the remaining bytes; text after white space is ignored.
func parseIPv4(s string) (netip.Addr, bool) {
	if i := strings.IndexAny(s, " \t\n\v\f\r"); i >= 0 {
		s = s[:i]
	}
	parts := strings.Split(s, ".")
	if len(parts) > 4 {
		return netip.Addr{}, false
	}
	var sum uint64
	for i, part := range parts {
		n, ok := parseCInteger(part)
		rest := 5 - len(parts)
		switch {
		case !ok:
			return netip.Addr{}, false
		case i < len(parts)-1:
			if n > 0xff {
				return netip.Addr{}, false
			}
			sum |= n << (24 - 8*i)
		case n >= 1<<(8*rest):
			return netip.Addr{}, false
		default:
			sum |= n
		}
	}
	return netip.AddrFrom4([4]byte{byte(sum >> 24), byte(sum >> 16), byte(sum >> 8), byte(sum)}), true
}

// parseCInteger parses digits as in C: 0x for hexadecimal, 0 for octal.
func parseCInteger(s string) (uint64, bool) {
	if s == "" || s[0] < '0' || s[0] > '9' {
		return 0, false
	}
	base := 10
	switch {
	case len(s) > 2 && (s[:2] == "0x" || s[:2] == "0X"):
		s, base = s[2:], 16
	case len(s) > 1 && s[0] == '0':
		s, base = s[1:], 8
	}
	n, err := strconv.ParseUint(s, base, 64)
	return n, err == nil
}

// parseIPv6 parses an address as inet_pton(3) does, without a zone.
func parseIPv6(s string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(s)
	return a, err == nil && a.Is6() && a.Zone() == ""
}
