package keepalived

import (
	"net/netip"
	"strconv"
	"strings"
)

// Int reads a number where keepalived does not insist on one: unless it was built with --enable-strict-config, it warns about what
// follows the digits and uses the number before it, or 0 if there is none (lib/parser.c, read_int_func with ignore_error). clean is
// false if it warns. ok is false if the number is out of range: keepalived ignores it.
func Int(text string, lowest, highest int) (n int, clean, ok bool) {
	text = strings.TrimLeft(text, whitespace)
	end := 0
	if strings.HasPrefix(text, "-") || strings.HasPrefix(text, "+") {
		end = 1
	}
	for end < len(text) && text[end] >= '0' && text[end] <= '9' {
		end++
	}
	digits := text[:end]
	if digits == "" || digits == "-" || digits == "+" {
		return 0, text == "", lowest <= 0 && highest >= 0
	}
	n, err := strconv.Atoi(digits)
	return n, end == len(text), err == nil && n >= lowest && n <= highest
}

// Prefix reads an address with an optional length, as of a virtual address. Without a valid length it is that of a host
// (keepalived/vrrp/vrrp_ipaddress.c, parse_ipaddress). clean is false if keepalived warns about the length.
func Prefix(text string) (p netip.Prefix, clean, ok bool) {
	host, length, found := strings.Cut(text, "/")
	a, err := netip.ParseAddr(host)
	if err != nil || a.Zone() != "" || a.Is4In6() {
		return netip.Prefix{}, false, false
	}
	if !found {
		return netip.PrefixFrom(a, a.BitLen()), true, true
	}
	bits, clean, valid := Int(length, 0, a.BitLen())
	if !valid {
		bits, clean = a.BitLen(), false
	}
	return netip.PrefixFrom(a, bits), clean, true
}
