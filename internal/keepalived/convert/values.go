package convert

import (
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/keepalived"
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

// looseSeconds parses what begins with seconds.
func looseSeconds(s string) (time.Duration, bool) {
	return seconds(s[:len(s)-len(strings.TrimLeft(s, "0123456789."))])
}

// misread returns what keepalived makes of a number of seconds with something after it: it appends zeros to the text without its decimal
// point, to have a number of its smallest unit, but reads only the digits before what follows (lib/parser.c,
// read_decimal_unsigned_long_func).
func misread(s string, unit time.Duration) time.Duration {
	n, _ := loose(strings.Replace(s, ".", "", 1), 0, 1<<31-1)
	return time.Duration(n) * unit
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

// address parses an address as keepalived does, which cuts off what follows the first "-", or else the first "/" (lib/utils.c,
// inet_stosockaddr).
func address(text string) (netip.Addr, bool) {
	before, _, found := strings.Cut(text, "-")
	if !found {
		before, _, _ = strings.Cut(text, "/")
	}
	a, err := netip.ParseAddr(before)
	return a, err == nil && a.Zone() == ""
}

// cut records that keepalived reads only the address at the beginning of a word.
func (l *line) cut(word string, a netip.Addr) bool {
	if !strings.ContainsAny(word, "-/") {
		return false
	}
	l.find(Equivalent, "keepalived reads only the address %s of %q.", a, word)
	return true
}

// prefix parses an address with an optional length; without one it is a host's.
func prefix(s string) (netip.Prefix, bool) {
	p, _, ok := keepalived.Prefix(s)
	return p, ok
}

// lenient parses a number of the line as keepalived does where it does not insist on one.
func (l *line) lenient(text string, lowest, highest int) (int, bool) {
	n, clean, ok := keepalived.Int(text, lowest, highest)
	if ok && !clean {
		l.doubt(Equivalent, "keepalived warns about %q and uses %d.", text, n)
	}
	return n, ok
}

// prefix parses an address with an optional length as keepalived does.
func (l *line) prefix(text string) (netip.Prefix, bool) {
	p, clean, ok := keepalived.Prefix(text)
	if ok && !clean {
		l.doubt(Equivalent, "keepalived warns about the length of %q and uses %d.", text, p.Bits())
	}
	return p, ok
}

// seconds parses the seconds of the line, of which keepalived counts in a unit. What was probably meant is converted: with
// "delay_loop 10s", keepalived checks a real server every 10 µs.
func (l *line) seconds(unit time.Duration) (time.Duration, bool) {
	text := l.arg(0)
	if d, ok := seconds(text); ok {
		return d, true
	}
	d, ok := looseSeconds(text)
	if ok && d > 0 {
		l.find(Differs, "keepalived 2.4 reads %q as %v, because of what follows the number; here it is %v, which was probably meant.", text, misread(text, unit), d)
	}
	return d, ok && d > 0
}

// timer says what becomes of a line with a time or a number of a check, which several lines inherit.
func (l *line) timer() {
	if l.c.program != "" || l.told || !slices.Contains(timing, l.Keyword) {
		return
	}
	if len(l.Args) == 0 {
		l.doubt(Ignored, noValue)
		return
	}
	switch l.Keyword {
	case "delay_loop", "connect_timeout", "delay_before_retry":
		if d, ok := l.seconds(time.Microsecond); !ok || d == 0 && l.Keyword != "delay_before_retry" {
			l.doubt(Ignored, "%q is not a number of seconds.", l.arg(0))
		}
	case "retry":
		if !inherited[l.parent] {
			l.count32(0)
		} else if _, ok := number(l.arg(0), 1, 1<<32-1); !ok {
			l.doubt(Ignored, "%q is not a number from 1.", l.arg(0))
		}
	default:
		l.count32(0)
	}
}

func (l *line) count32(lowest int) {
	if _, ok := l.lenient(l.arg(0), lowest, 1<<32-1); !ok {
		l.doubt(Ignored, "%q is not a number from %d.", l.arg(0), lowest)
	}
}

// inherited are the blocks whose times and numbers the checks in them have unless they say something else.
var inherited = map[string]bool{"virtual_server": true, "real_server": true}

const noValue = "It has no value."

// loose is number where keepalived does not insist on one.
func loose(text string, lowest, highest int) (int, bool) {
	n, _, ok := keepalived.Int(text, lowest, highest)
	return n, ok
}
