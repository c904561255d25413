package convert

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/lvs-ha/lvs-ha/vrrp"

	"github.com/lvs-ha/lvs-ha/internal/keepalived"
)

// Words after a route or rule that lvs-ha has no setting for, with the number of their values.
var otherRouteWords = map[string]int{
	"tos": 1, "dsfield": 1, "protocol": 1, "hoplimit": 1, "advmss": 1, "rtt": 1, "rttvar": 1, "reordering": 1, "window": 1, "cwnd": 1,
	"ssthresh": 1, "realms": 1, "rto_min": 1, "initcwnd": 1, "initrwnd": 1, "quickack": 1, "congctl": 1, "pref": 1, "vrf": 1, "features": 1,
	"fastopen_no_cookie": 1, "ttl-propagate": 1, "track_group": 1, "group": 1, "suppress_prefixlength": 1, "suppress_ifgroup": 1, "goto": 1,
	"uidrange": 1, "ip_proto": 1, "ipproto": 1, "sport": 1, "dport": 1, "tun_id": 1, "l3mdev": 0, "not": 0, "append": 0, "prepend": 0, "add": 0,
}

// Names of routing tables that every system has.
var tableNames = map[string]string{"main": "254", "default": "253", "local": "255"}

// routing converts the lines of virtual_routes, virtual_rules and their static counterparts to blocks of the given kind.
func (c *converter) routing(l *line, into *block, kind string) {
	l.find(Same, "")
	l.pass()
	for _, value := range l.Values {
		at := l.value(value)
		b := &block{kind: kind}
		ok := false
		if strings.HasSuffix(kind, "rule") {
			ok = at.rule(b, len(into.items))
		} else {
			ok = at.route(b)
		}
		if ok {
			b.notes = at.notes()
			into.add(b)
		}
	}
}

// destination returns the network of a route, written as lvs-ha requires it.
func destination(text string) (netip.Prefix, bool) {
	if text == "default" {
		return netip.PrefixFrom(netip.IPv4Unspecified(), 0), true
	}
	p, clean, ok := keepalived.Prefix(text)
	return p.Masked(), ok && clean // the kernel refuses what keepalived makes of another length
}

// route converts a route. It returns false if it is none.
func (l *line) route(b *block) bool {
	hop := b // of the words that follow
	metrics := map[string]uint64{}
	set := func(name, value string) {
		if hop.get(name) == "" {
			hop.set(name, value, notes{})
		}
	}
	for i := 0; i < len(l.Args); i++ {
		word, next := l.Args[i], ""
		if i+1 < len(l.Args) {
			next = l.Args[i+1]
		}
		switch word {
		case "blackhole", "unreachable", "prohibit":
			set("type", quote(word))
		case "unicast", "no_track":
		case "onlink":
			set("onlink", "true")
		case "nexthop":
			hop = b.add(&block{kind: "next_hop"})
		case "or":
			l.find(Differs, "keepalived uses one gateway if the other is missing; lvs-ha shares the traffic.")
			first := &block{kind: "next_hop"}
			first.set("via", b.get("via"), notes{})
			b.items = slices.DeleteFunc(b.items, func(x item) bool { return x.name == "via" })
			b.add(first)
			hop = b.add(&block{kind: "next_hop"})
			l.hop(hop, "via", next)
			hop = b
			i++
		case "to", "via", "gw", "src", "dev", "oif", "table", "metric", "priority", "preference", "scope", "mtu", "weight":
			i++
			if next == "lock" && i+1 < len(l.Args) {
				i++
				next = l.Args[i]
			}
			if (next == "inet" || next == "inet6") && i+1 < len(l.Args) {
				i++
				next = l.Args[i]
			}
			switch {
			case word == "to":
				b.label = next
				continue
			case word == "table":
				if !l.table(b, next) {
					return false
				}
				continue
			}
			if word == "src" || word == "scope" || word == "mtu" || word == "metric" || word == "priority" || word == "preference" {
				l.hop(b, word, next)
			} else {
				l.hop(hop, word, next)
			}
		default:
			n, known := otherRouteWords[word]
			switch {
			case vrrp.PathMetrics[word].Number != 0:
				i += l.pathMetric(metrics, word, l.Args[i+1:])
			case word == "protocol":
				l.find(Equivalent, "lvs-ha's routes have protocol 112, by which it recognizes them.")
				i += n
			case known:
				l.find(Missing, "%s cannot be set.", word)
				i += n
			case b.label == "":
				b.label = word
			default:
				l.doubt(Ignored, "keepalived does not know %q.", word)
			}
		}
	}
	p, ok := destination(b.label)
	if via, err := strconv.Unquote(b.get("via")); ok && err == nil && b.label == "default" && strings.Contains(via, ":") {
		p = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	}
	if b.label = p.String(); !ok {
		l.find(Ignored, "This is not a route.")
	}
	scope(b, p.Addr().Is6())
	if len(metrics) > 0 {
		var all []string
		for _, name := range slices.Sorted(maps.Keys(metrics)) {
			all = append(all, fmt.Sprintf("%s = %d", name, metrics[name]))
		}
		b.set("path_metrics", "{ "+strings.Join(all, ", ")+" }", notes{})
	}
	return ok
}

// scope writes keepalived's default where that of lvs-ha is another one: without a gateway. IPv6 has none.
func scope(route *block, ipv6 bool) {
	switch {
	case ipv6:
		route.items = slices.DeleteFunc(route.items, func(x item) bool { return x.name == "scope" })
	case route.get("scope") == "" && route.get("via") == "" && route.get("type") == "" && route.find("next_hop") == nil:
		route.set("scope", quote("global"), notes{})
	}
}

// pathMetric adds a metric, whose value is in the words that follow. It returns the number of words that it used.
func (l *line) pathMetric(metrics map[string]uint64, name string, words []string) (used int) {
	if len(words) > 1 && words[0] == "lock" {
		l.find(Differs, "%s is not locked.", name)
		used, words = 1, words[1:]
	}
	if len(words) == 0 {
		return used
	}
	if v, err := strconv.ParseUint(words[0], 0, 32); err != nil || v == 0 || v > uint64(vrrp.PathMetrics[name].Most) {
		l.find(Missing, "%s %s cannot be set.", name, words[0])
	} else {
		metrics[name] = v
	}
	return used + 1
}

// hop converts a word of a route or of one of its gateways, with its value.
func (l *line) hop(b *block, word, value string) {
	name := map[string]string{"via": "via", "gw": "via", "src": "source", "dev": "interface", "oif": "interface", "priority": "metric", "preference": "metric"}[word]
	switch word {
	case "via", "gw", "src":
		if a, err := netip.ParseAddr(value); err == nil {
			b.set(name, quote(a.String()), notes{})
			return
		}
		l.doubt(Ignored, "%q is not an address.", value)
	case "dev", "oif":
		b.set(name, quote(value), notes{})
	case "scope":
		if slices.Contains([]string{"global", "site", "link", "host"}, value) {
			b.set("scope", quote(value), notes{})
			return
		}
		l.find(Missing, "The scope %s cannot be set.", value)
	case "mtu", "metric", "priority", "preference", "weight":
		if n, err := strconv.ParseUint(value, 0, 32); err == nil {
			if name == "" {
				name = word
			}
			b.set(name, fmt.Sprint(n), notes{})
			return
		}
		l.doubt(Ignored, "%q is not a number.", value)
	}
}

// table writes the number of a routing table. It returns false for a name that only the host knows.
func (l *line) table(b *block, value string) bool {
	if n, named := tableNames[value]; named {
		value = n
	} else if n, named := l.c.options.Tables[value]; named {
		l.find(Equivalent, "%s is table %d in this host's /etc/iproute2/rt_tables.", value, n)
		value = fmt.Sprint(n)
	}
	if n, err := strconv.ParseUint(value, 0, 32); err == nil && n > 0 {
		b.set("table", fmt.Sprint(n), notes{})
		return true
	}
	l.find(Missing, "It is left out: write the number of the table %q, which /etc/iproute2/rt_tables does not have on this host.", value)
	return false
}

// The first priority of rules that have none. keepalived chooses one too.
const firstRulePriority = 16000

// rule converts a rule, the number-th item of its block.
func (l *line) rule(b *block, number int) bool {
	kind := ""
	for i := 0; i < len(l.Args); i++ {
		word, next := l.Args[i], ""
		if i+1 < len(l.Args) {
			next = l.Args[i+1]
		}
		switch word {
		case "from", "to":
			i++
			if p, ok := destination(next); ok {
				b.set(word, quote(p.String()), notes{})
			} else if next != "all" && next != "any" {
				l.doubt(Ignored, "%q is not a network.", next)
			}
		case "table", "lookup":
			if i++; !l.table(b, next) {
				return false
			}
		case "preference", "priority", "order", "pref":
			i++
			if n, err := strconv.ParseUint(next, 0, 32); err == nil && n >= 1 && n <= 32765 {
				b.set("priority", fmt.Sprint(n), notes{})
			}
		case "iif", "oif":
			i++
			b.set(word, quote(next), notes{})
		case "dev":
			i++
			b.set("iif", quote(next), notes{})
		case "fwmark":
			i++
			b.set(word, quote(next), notes{})
		case "blackhole", "unreachable", "prohibit":
			kind = word
		case "no_track":
		default:
			if n, known := otherRouteWords[word]; known {
				l.find(Missing, "%s cannot be set: the rule would match other packets, and is left out.", word)
				i += n
				return false
			}
			l.doubt(Ignored, "keepalived does not know %q.", word)
		}
	}
	if kind != "" {
		b.set("type", quote(kind), notes{})
	} else if b.get("table") == "" {
		b.set("table", "254", notes{})
	}
	if b.get("priority") == "" {
		priority := firstRulePriority + number
		l.find(Differs, "keepalived chooses a priority; it is %d here.", priority)
		b.set("priority", fmt.Sprint(priority), notes{})
	}
	return true
}

// staticAddresses converts the lines of static_ipaddress.
func (c *converter) staticAddresses(l *line) {
	l.find(Same, "")
	l.pass()
	for _, value := range l.Values {
		at := l.value(value)
		p, ok := at.prefix(value.Words[0])
		if !ok {
			at.doubt(Ignored, "%q is not an address.", value.Words[0])
			continue
		}
		b := at.addressOptions(value.Words[1:], &instance{ipv6: p.Addr().Is6()}, p)
		if b.get("interface") == "" {
			at.find(Differs, "keepalived adds it to its default interface: write that.")
			b.set("interface", quote("eth0"), notes{})
		}
		b.kind, b.label, b.single, b.notes = "static_address", p.String(), true, at.notes()
		c.root.add(b)
	}
}
