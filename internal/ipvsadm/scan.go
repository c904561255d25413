package ipvsadm

import "strings"

// takes is whether an option has a value.
type takes int

const (
	nothing takes = iota
	value
	maybe // the next argument, unless that is an option
)

// spelling is a form of an option on the command line.
type spelling struct {
	long  string
	short byte // 0 if none
	takes takes
	id    string // identifies the option if several spellings mean the same
}

// spellings are all options of ipvsadm, and --force.
var spellings = []spelling{
	{"add-service", 'A', nothing, "A"}, {"edit-service", 'E', nothing, "E"}, {"delete-service", 'D', nothing, "D"},
	{"clear", 'C', nothing, "C"}, {"list", 'L', nothing, "L"}, {"", 'l', nothing, "L"}, {"zero", 'Z', nothing, "Z"},
	{"add-server", 'a', nothing, "a"}, {"edit-server", 'e', nothing, "e"}, {"delete-server", 'd', nothing, "d"},
	{"set", 0, nothing, "set"}, {"help", 'h', nothing, "h"}, {"version", 'v', nothing, "v"},
	{"restore", 'R', nothing, "R"}, {"save", 'S', nothing, "S"},
	{"start-daemon", 0, value, "start-daemon"}, {"stop-daemon", 0, value, "stop-daemon"},
	{"tcp-service", 't', value, "t"}, {"udp-service", 'u', value, "u"}, {"sctp-service", 0, value, "sctp"},
	{"fwmark-service", 'f', value, "f"}, {"scheduler", 's', value, "s"}, {"persistent", 'p', maybe, "p"},
	{"netmask", 'M', value, "M"}, {"real-server", 'r', value, "r"}, {"masquerading", 'm', nothing, "m"},
	{"ipip", 'i', nothing, "i"}, {"gatewaying", 'g', nothing, "g"}, {"weight", 'w', value, "w"},
	{"u-threshold", 'x', value, "x"}, {"l-threshold", 'y', value, "y"}, {"numeric", 'n', nothing, "n"},
	{"connection", 'c', nothing, "c"}, {"mcast-interface", 0, value, "mcast-interface"},
	{"mcast-group", 0, value, "mcast-group"}, {"mcast-port", 0, value, "mcast-port"}, {"mcast-ttl", 0, value, "mcast-ttl"},
	{"syncid", 0, value, "syncid"}, {"sync-maxlen", 0, value, "sync-maxlen"}, {"timeout", 0, nothing, "timeout"},
	{"daemon", 0, nothing, "daemon"}, {"stats", 0, nothing, "stats"}, {"rate", 0, nothing, "rate"},
	{"thresholds", 0, nothing, "thresholds"}, {"persistent-conn", 0, nothing, "persistent-conn"},
	{"nosort", 0, nothing, "nosort"}, {"sort", 0, nothing, "sort"}, {"exact", 'X', nothing, "exact"},
	{"ipv6", '6', nothing, "6"}, {"ops", 'o', nothing, "o"}, {"pe", 0, value, "pe"}, {"sched-flags", 'b', value, "b"},
	{"tun-info", 0, nothing, "tun-info"}, {"tun-type", 0, value, "tun-type"}, {"tun-port", 0, value, "tun-port"},
	{"tun-nocsum", 0, nothing, "tun-nocsum"}, {"tun-csum", 0, nothing, "tun-csum"}, {"tun-remcsum", 0, nothing, "tun-remcsum"},
	{"force", 0, nothing, "force"},
}

// scanner parses a command line like the popt library: options in any position, several short ones in one argument, values
// attached, after "=" or in the next argument; long options cannot be abbreviated.
type scanner struct {
	args   []string
	bundle string // remaining short options of the current argument
	word   string // the last argument
	rest   []string
}

// scanned is a parsed option.
type scanned struct {
	id    string
	value string
	given bool // it has a value
}

// popt's messages.
const (
	unknownOption  = "unknown option"
	missingValue   = "missing argument"
	unwantedValue  = "option does not take an argument"
	endOfTheOption = "--"
)

// next parses an option. Other arguments are collected in rest. ok is false at the end, and with a problem if an argument is
// invalid.
func (s *scanner) next() (o scanned, problem string, ok bool) {
	for s.bundle == "" {
		if len(s.args) == 0 {
			return scanned{}, "", false
		}
		s.word, s.args = s.args[0], s.args[1:]
		switch {
		case s.word == endOfTheOption:
			s.rest = append(s.rest, s.args...)
			s.args = nil
		case strings.HasPrefix(s.word, "--"):
			return s.long()
		case len(s.word) > 1 && s.word[0] == '-':
			s.bundle = s.word[1:]
		default:
			s.rest = append(s.rest, s.word)
		}
	}
	return s.short()
}

func (s *scanner) long() (scanned, string, bool) {
	name, attached, given := strings.Cut(s.word[2:], "=")
	for _, sp := range spellings {
		if sp.long != "" && sp.long == name {
			return s.valued(sp, attached, given)
		}
	}
	return scanned{}, unknownOption, false
}

func (s *scanner) short() (scanned, string, bool) {
	c := s.bundle[0]
	s.bundle = s.bundle[1:]
	for _, sp := range spellings {
		if sp.short != c || c == 0 {
			continue
		}
		attached, given := s.bundle, s.bundle != ""
		if sp.takes == nothing {
			given = strings.HasPrefix(s.bundle, "=")
		} else {
			s.bundle = ""
			attached = strings.TrimPrefix(attached, "=")
		}
		return s.valued(sp, attached, given)
	}
	return scanned{}, unknownOption, false
}

// valued determines the option's value.
func (s *scanner) valued(sp spelling, attached string, given bool) (scanned, string, bool) {
	o := scanned{id: sp.id, value: attached, given: given}
	switch {
	case sp.takes == nothing && given:
		return scanned{}, unwantedValue, false
	case sp.takes == nothing:
		return scanned{id: sp.id}, "", true
	case given:
		return o, "", true
	case sp.takes == maybe && (len(s.args) == 0 || strings.HasPrefix(s.args[0], "-")):
		return o, "", true
	case len(s.args) == 0:
		return scanned{}, missingValue, false
	}
	s.word, s.args = s.args[0], s.args[1:]
	o.value, o.given = s.word, true
	return o, "", true
}
