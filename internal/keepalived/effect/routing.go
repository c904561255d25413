package effect

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/lvs-ha/lvs-ha/internal/keepalived"
)

// belongings computes the addresses, routes and rules of a master.
func (k *theirs) belongings(n *keepalived.Node, r *router, iface string) {
	have := map[placed]bool{} // with the interface, if it is not the usual one
	advertised := map[netip.Addr]bool{}
	for _, l := range n.Children {
		for _, v := range l.Values {
			switch l.Keyword {
			case "virtual_ipaddress", "virtual_ipaddress_excluded":
				p, ok := address(v.Words[0])
				at := placed{p.Addr(), ""}
				if i := slices.Index(v.Words, "dev"); i > 0 && i+1 < len(v.Words) && v.Words[i+1] != r.iface && v.Words[i+1] != iface {
					at.iface = v.Words[i+1]
				}
				first := l.Keyword == "virtual_ipaddress"
				if !ok || have[at] || first && (advertised[p.Addr()] || p.Addr().Is6() != r.ipv6) {
					continue
				}
				have[at], advertised[p.Addr()] = true, advertised[p.Addr()] || first
				k.address(v.Words, r.iface, iface, true)
			case "virtual_routes":
				k.route(v.Words)
			case "virtual_rules":
				k.rule(v.Words)
			}
		}
	}
}

type placed struct {
	address netip.Addr
	iface   string
}

// vmacOf returns the interface that use_vmac creates.
func (k *theirs) vmacOf(args []string, r *router) string {
	if given := givenVMAC(args); given != "" {
		return given
	}
	if k.vmacs == nil {
		k.vmacs = map[string]bool{}
		for _, n := range k.config.Nodes {
			if use := n.Last("use_vmac"); use != nil {
				k.vmacs[givenVMAC(use.Args)] = true
			}
		}
	}
	name := fmt.Sprintf("vrrp.%d", r.id)
	if r.ipv6 {
		name = fmt.Sprintf("vrrp6.%d", r.id)
	}
	for n := 1; k.vmacs[name]; n++ {
		name = fmt.Sprintf("vrrp%d.%d", n, r.id)
	}
	k.vmacs[name] = true
	return name
}

// givenVMAC returns the name in the arguments of use_vmac.
func givenVMAC(args []string) string {
	if len(args) > 1 && args[0] == "name" {
		return args[1]
	}
	if len(args) > 0 && !strings.Contains(args[0], ":") && args[0] != "group" && args[0] != "netlink_notify_msg" {
		return args[0]
	}
	return ""
}

// address adds "ADDRESS[/LENGTH] [dev IF] [label L] [scope S] …".
//
// An address on the instance's interface, which is below, is on that of use_vmac, if there is one.
func (k *theirs) address(words []string, below, iface string, virtual bool) {
	p, ok := address(words[0])
	if !ok {
		return
	}
	a := interfaceAddress{prefix: p, iface: iface, deprecated: virtual && p.Addr().Is6() && p.Bits() == 128}
	for i := 1; i < len(words); i++ {
		next := ""
		if i+1 < len(words) {
			next = words[i+1]
		}
		switch words[i] {
		case "dev":
			if next != below {
				a.iface = next
			}
		case "label":
			a.label = next
		case "scope":
			a.scope = next
		case "peer":
			peer, _ := address(next)
			a.peer = peer.Addr()
		case "brd", "broadcast":
			a.broadcast, _ = netip.ParseAddr(next)
			if next == "-" {
				a.broadcast = p.Masked().Addr()
			}
		case "preferred_lft":
			a.deprecated = next == "0"
		case "noprefixroute":
			a.noPrefixRoute = true
			continue
		case "home", "mngtmpaddr", "autojoin", "-nodad":
			a.others = append(a.others, words[i])
			continue
		default:
			continue
		}
		i++
	}
	if a.iface == "" {
		a.iface = "eth0"
		if args, is := k.global("default_interface"); is && len(args) > 0 {
			a.iface = args[0]
		}
	}
	k.effect.Addresses = append(k.effect.Addresses, a.String())
}

// interfaceAddress is an address as `ip address` shows it.
type interfaceAddress struct {
	prefix          netip.Prefix
	iface           string
	label           string
	scope           string
	broadcast, peer netip.Addr // unset: the usual one; none
	deprecated      bool
	noPrefixRoute   bool
	others          []string
}

func (a interfaceAddress) String() string {
	text := fmt.Sprintf("%v dev %s", a.prefix, a.iface)
	add := func(format string, args ...any) { text += fmt.Sprintf(format, args...) }
	ipv4 := a.prefix.Addr().Is4()
	if a.peer.IsValid() {
		add(" peer %v", a.peer)
	}
	if a.broadcast.IsValid() && a.broadcast != broadcastOf(a.prefix) && ipv4 {
		add(" brd %v", a.broadcast)
	}
	if ipv4 && !slices.Contains([]string{"", "global", "universe", "0"}, a.scope) {
		add(" scope %s", a.scope)
	}
	if ipv4 && a.label != "" {
		add(" label %s", a.label)
	}
	if a.deprecated && !ipv4 {
		add(" deprecated")
	}
	if a.noPrefixRoute {
		add(" noprefixroute")
	}
	for _, o := range a.others {
		add(" %s", o)
	}
	return text
}

func broadcastOf(p netip.Prefix) netip.Addr {
	if !p.Addr().Is4() {
		return netip.Addr{}
	}
	b := p.Masked().Addr().As4()
	for i := p.Bits(); i < 32; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	return netip.AddrFrom4(b)
}

// pairs are the options of a route or a rule.
type pairs []string

func (p *pairs) add(word, value string) { *p = append(*p, strings.TrimSpace(word+" "+value)) }

func (p *pairs) String() string {
	slices.Sort(*p)
	return strings.Join(*p, " ")
}

var synonyms = map[string]string{"gw": "via", "oif": "dev", "priority": "metric", "preference": "metric", "dsfield": "tos"}

// route adds "[TYPE] [to] DESTINATION [via A] [dev IF] …".
func (k *theirs) route(words []string) {
	destination, kind := "", ""
	var options pairs
	var hops []string
	into := &options
	for i := 0; i < len(words); i++ {
		word, next := words[i], ""
		if i+1 < len(words) {
			next = words[i+1]
		}
		if s := synonyms[word]; s != "" {
			word = s
		}
		switch word {
		case "blackhole", "unreachable", "prohibit":
			kind = word + " "
		case "unicast", "no_track":
		case "onlink":
			into.add(word, "")
		case "nexthop", "or":
			if word == "or" && len(hops) == 0 {
				hops = append(hops, "alternatives")
			}
			if into != &options {
				hops = append(hops, into.String())
			}
			into = &pairs{}
			if word == "or" {
				into.add("via", next)
				i++
			}
		case "to":
			destination = next
			i++
		default:
			if _, known := routeWords[word]; !known {
				if destination == "" {
					destination = word
				}
				continue
			}
			i++
			if next == "lock" || next == "inet" || next == "inet6" {
				i++
				if next = ""; i < len(words) {
					next = words[i]
				}
			}
			addRouteOption(&options, into, word, next)
		}
	}
	if into != &options {
		hops = append(hops, into.String())
	}
	for _, h := range hops {
		options.add("nexthop", h)
	}
	p, clean, ok := keepalived.Prefix(destination)
	ok = ok && clean // the kernel refuses what keepalived makes of another length
	switch {
	case destination == "default":
		destination = "0.0.0.0/0"
		if strings.Contains(options.String(), "via") && strings.Contains(options.String(), ":") {
			destination = "::/0"
		}
	case !ok:
		return
	default:
		destination = p.Masked().String()
	}
	k.effect.Routes = append(k.effect.Routes, strings.TrimSpace(kind+destination+" "+options.String()))
}

// routeWords are the options of routes with a value.
var routeWords = map[string]bool{
	"via": true, "src": true, "dev": true, "table": true, "metric": true, "scope": true, "mtu": true, "weight": true, "tos": true, "protocol": false,
	"hoplimit": true, "advmss": true, "rtt": true, "window": true, "cwnd": true, "realms": true, "initcwnd": true, "initrwnd": true, "quickack": true,
	"congctl": true, "pref": true, "features": true, "rto_min": true, "rttvar": true, "ssthresh": true, "reordering": true,
}

// addRouteOption leaves out what means nothing: the usual table, scope and weight, and the protocol, which only names the program.
func addRouteOption(route, hop *pairs, word, value string) {
	if word == "table" {
		value = table(value)
	}
	switch value = number(value); {
	case !routeWords[word], word == "table" && (value == "254" || value == "main"), word == "scope" && value == "global", word == "weight" && value == "1",
		word == "metric" && value == "0":
	case word == "via" || word == "dev" || word == "weight":
		hop.add(word, value)
	default:
		route.add(word, value)
	}
}

var hostTables = sync.OnceValue(keepalived.Tables)

// table replaces the name of a routing table by its number, except that of the main one.
func table(name string) string {
	if n, named := hostTables()[name]; named && name != "main" {
		return strconv.FormatUint(uint64(n), 10)
	}
	return name
}

// number writes numbers in decimal, and leaves other words as they are.
func number(text string) string {
	if n, err := strconv.ParseUint(text, 0, 32); err == nil {
		return strconv.FormatUint(n, 10)
	}
	return text
}

// rule adds a routing rule. keepalived chooses a priority if there is none.
func (k *theirs) rule(words []string) {
	var options pairs
	action := ""
	for i := 0; i < len(words); i++ {
		word, next := words[i], ""
		if i+1 < len(words) {
			next = words[i+1]
		}
		switch word {
		case "from", "to":
			if p, ok := address(next); ok {
				options.add(word, p.Masked().String())
			}
		case "table", "lookup":
			if next = number(table(next)); next == "main" {
				next = "254"
			}
			action = "lookup " + next
		case "preference", "priority", "order", "pref":
			options.add("priority", number(next))
		case "iif", "oif", "fwmark":
			options.add(word, number(next))
		case "dev":
			options.add("iif", next)
		case "blackhole", "unreachable", "prohibit":
			action = word
			continue
		case "no_track":
			continue
		default:
			options.add(word, "")
			continue
		}
		i++
	}
	if action == "" {
		action = "lookup 254"
	}
	k.effect.Routes = append(k.effect.Routes, strings.Join(strings.Fields("rule: "+options.String()+" "+action), " "))
}
