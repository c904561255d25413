package convert

import (
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// seconds parses keepalived's seconds with decimals.
func seconds(s string) (time.Duration, bool) {
	whole, fraction, _ := strings.Cut(s, ".")
	if whole == "" && fraction == "" || strings.Trim(whole+fraction, "0123456789") != "" {
		return 0, false
	}
	value, err := strconv.ParseFloat(s, 64)
	if err != nil || value > float64(math.MaxInt64/int64(time.Second)) {
		return 0, false
	}
	return time.Duration(math.Round(value*1e6)) * time.Microsecond, true
}

// duration writes a duration with the largest units: "90s" is "1m30s", "60s" is "1m".
func duration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return quote(s)
}

// number parses a number in a range.
func number(s string, lowest, highest int) (int, bool) {
	n, err := strconv.Atoi(s)
	return n, err == nil && n >= lowest && n <= highest
}

// truth parses keepalived's booleans. Without a word, a keyword means true.
func truth(words []string) (value, ok bool) {
	if len(words) == 0 {
		return true, true
	}
	switch words[0] {
	case "true", "on", "yes":
		return true, true
	case "false", "off", "no":
		return false, true
	}
	return false, false
}

// prefix parses an address with an optional length; without one it is a host's.
func prefix(s string) (netip.Prefix, bool) {
	if p, err := netip.ParsePrefix(s); err == nil {
		return p, true
	}
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(a, a.BitLen()), true
}
