package config

import (
	"errors"
	"fmt"
	"math/bits"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// ifname is the name of a network interface.
type ifname string

// maxInterfaceName is IFNAMSIZ without its final zero (include/uapi/linux/if.h).
const maxInterfaceName = 15

// parseInterface accepts the names that the kernel accepts (net/core/dev.c, dev_valid_name).
func parseInterface(text string) (ifname, error) {
	switch {
	case text == "":
		return "", errors.New("the name of a network interface is required here")
	case len(text) > maxInterfaceName:
		return "", fmt.Errorf("%q is too long for the name of a network interface: %d bytes, at most %d are allowed",
			text, len(text), maxInterfaceName)
	case text == "." || text == ".." || strings.ContainsFunc(text, isNoInterfaceRune):
		return "", fmt.Errorf("%q cannot be the name of a network interface", text)
	}
	return ifname(text), nil
}

func isNoInterfaceRune(r rune) bool {
	return r == '/' || r == ':' || unicode.IsSpace(r) || unicode.IsControl(r)
}

// parseDuration parses Go's notation of durations within the tag's range.
func parseDuration(text string, t *tag) (time.Duration, error) {
	duration, err := time.ParseDuration(text)
	if err != nil {
		if _, bare := strconv.ParseFloat(text, 64); bare == nil {
			return 0, fmt.Errorf("%q has no unit. Write %q for seconds, or %q", text, text+"s", text+"ms")
		}
		return 0, fmt.Errorf("%q is not a duration. Write a number and a unit, such as \"1s\", \"100ms\" or \"1m30s\"", text)
	}
	return duration, t.checkDuration(duration)
}

// parseAddress parses a host's IP address.
func parseAddress(text string) (netip.Addr, error) {
	address, err := netip.ParseAddr(text)
	switch {
	case err != nil && strings.Contains(text, "/"):
		return netip.Addr{}, fmt.Errorf("%q has a prefix length. Write the address alone", text)
	case err != nil:
		return netip.Addr{}, badAddress(text)
	}
	return address, checkAddress(address)
}

// checkAddress rejects notations of addresses that are not useful in a configuration.
func checkAddress(address netip.Addr) error {
	switch {
	case address.Zone() != "":
		return fmt.Errorf("%q has a zone. Remove it: the interface is set separately", address)
	case address.Is4In6():
		return fmt.Errorf("%q is an IPv4 address in IPv6 notation. Write %q", address, address.Unmap())
	}
	return nil
}

// broadcastAddress is the broadcast address of an IPv4 address: unset for the network's, 0.0.0.0 for none.
type broadcastAddress netip.Addr

func parseBroadcast(text string) (broadcastAddress, error) {
	switch text {
	case "auto":
		return broadcastAddress{}, nil
	case "none":
		return broadcastAddress(netip.IPv4Unspecified()), nil
	}
	address, err := parseAddress(text)
	if err == nil && address.Is6() {
		err = errors.New("only IPv4 has broadcast addresses")
	}
	return broadcastAddress(address), err
}

// parsePrefix parses an address with a prefix length; an address alone is a network of one host.
func parsePrefix(text string) (netip.Prefix, error) {
	if !strings.Contains(text, "/") {
		address, err := parseAddress(text)
		return netip.PrefixFrom(address, address.BitLen()), err
	}
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, badPrefix(text)
	}
	return prefix, checkAddress(prefix.Addr())
}

func isPort(text string) bool {
	_, err := strconv.ParseUint(text, 10, 16)
	return err == nil
}

// badPrefix returns the error for an address and its prefix length.
func badPrefix(text string) error {
	host, length, _ := strings.Cut(text, "/")
	address, err := netip.ParseAddr(strings.TrimSpace(host))
	if err != nil {
		return badAddress(host)
	}
	if bits, ok := maskLength(length); ok && address.Is4() {
		return fmt.Errorf("%q has a netmask. Write its length: \"%s/%d\"", text, address, bits)
	}
	if n, err := strconv.Atoi(length); err == nil && n > address.BitLen() {
		example := 24
		if address.Is6() {
			example = 64
		}
		return fmt.Errorf("%q: the prefix length of %s is at most %d. Write that of the network, such as \"%s/%d\"",
			text, familyName(address), address.BitLen(), address, example)
	}
	return fmt.Errorf("%q is not an address with a prefix length such as \"192.0.2.1/24\"", text)
}

// badAddress returns the error for an address.
func badAddress(text string) error {
	if host, mask, ok := strings.Cut(strings.TrimSpace(text), " "); ok {
		if bits, isMask := maskLength(strings.TrimSpace(mask)); isMask {
			return fmt.Errorf("%q has a netmask. Write its length: \"%s/%d\"", text, host, bits)
		}
	}
	if host, port, ok := cutLast(text, ":"); ok && strings.Count(text, ":") == 1 {
		if _, err := netip.ParseAddr(host); err == nil {
			return fmt.Errorf("%q has a port (%s). Write the address alone: %q", text, port, host)
		}
	}
	return fmt.Errorf("%q is not an IP address. Host names are not resolved", text)
}

// maskLength returns the prefix length of an IPv4 netmask.
func maskLength(text string) (int, bool) {
	mask, err := netip.ParseAddr(text)
	if err != nil || !mask.Is4() || !isContiguous(mask) {
		return 0, false
	}
	return bits.OnesCount32(maskBits(mask)), true
}

func familyName(address netip.Addr) string {
	if address.Is4() {
		return "IPv4"
	}
	return "IPv6"
}

// endpoint is an address with a port; 0 if there is none.
type endpoint struct {
	address netip.Addr
	port    uint16
	hasPort bool
}

// parseEndpoint parses "address:port", "[address]:port" or an address alone.
func parseEndpoint(text string) (endpoint, error) {
	if address, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]")); err == nil {
		return endpoint{address: address}, checkAddress(address)
	}
	both, err := netip.ParseAddrPort(text)
	if err == nil {
		return endpoint{both.Addr(), both.Port(), true}, checkAddress(both.Addr())
	}
	if _, _, isURL := strings.Cut(text, "://"); isURL {
		return endpoint{}, fmt.Errorf("%q is a URL. Write the address and the port, such as \"192.0.2.1:80\"", text)
	}
	host, port, found := cutLast(text, ":")
	if address, badHost := netip.ParseAddr(host); found && badHost == nil && address.Is6() && isPort(port) {
		return endpoint{}, fmt.Errorf("%q has a port and no brackets. Write %q", text, "["+host+"]:"+port)
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if _, badHost := netip.ParseAddr(host); found && badHost == nil {
		return endpoint{}, fmt.Errorf("%q is not a port. Write a number from 0 to 65535", port)
	}
	return endpoint{}, fmt.Errorf("%q is not an IP address with a port, such as \"192.0.2.1:80\" or \"[2001:db8::1]:80\". Host names are not resolved", text)
}

func cutLast(text, separator string) (before, after string, found bool) {
	if i := strings.LastIndex(text, separator); i >= 0 {
		return text[:i], text[i+len(separator):], true
	}
	return text, "", false
}

// family is an address family in the terms of the language.
func family(address netip.Addr) string {
	if address.Is4() {
		return "ipv4"
	}
	return "ipv6"
}
