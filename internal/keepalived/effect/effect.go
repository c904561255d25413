// Package effect computes what keepalived and lvs-ha make of their configurations, to compare both without starting either: the IPVS
// table, the adverts, the addresses, the routes and the rules, while all checks pass and all tracks are good, and as the master of
// each virtual router. What keepalived makes is computed from its own configuration, independent of package convert.
package effect

import (
	"cmp"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// Effect is what a configuration makes. Each element is an object, as one or more lines of text.
type Effect struct {
	Rules     []string // of IPVS, as ipvsadm -S -n prints them; in the order of the configuration
	Adverts   []string
	Addresses []string
	Routes    []string // and routing rules
}

// Section is a kind of objects.
type Section struct {
	Title string
	Of    func(*Effect) []string
}

// Sections are all kinds.
var Sections = []Section{
	{"IPVS table", func(e *Effect) []string { return e.Rules }},
	{"VRRP adverts", func(e *Effect) []string { return e.Adverts }},
	{"Addresses", func(e *Effect) []string { return e.Addresses }},
	{"Routes and rules", func(e *Effect) []string { return e.Routes }},
}

// Difference is an object that both have (' '), only the first ('-') or only the second ('+').
type Difference struct {
	Mark byte
	Text string
}

// Compare compares two lists of objects. The result is sorted by text, so that what differs stands together.
func Compare(first, second []string) (all []Difference) {
	rest := map[string]int{}
	for _, s := range second {
		rest[s]++
	}
	for _, s := range first {
		mark := byte('-')
		if rest[s] > 0 {
			rest[s]--
			mark = ' '
		}
		all = append(all, Difference{mark, s})
	}
	for _, s := range second {
		if rest[s] > 0 {
			rest[s]--
			all = append(all, Difference{'+', s})
		}
	}
	slices.SortStableFunc(all, func(a, b Difference) int {
		return cmp.Or(cmp.Compare(heading(a.Text), heading(b.Text)), cmp.Compare(b.Mark, a.Mark))
	})
	return all
}

// heading returns what identifies an object: the begin of its text. A service stands before its real servers.
func heading(text string) string {
	words := strings.Fields(text)
	if len(words) > 2 && (words[0] == "-A" || words[0] == "-a") {
		return strings.Join(words[1:3], " ") + " " + words[0]
	}
	return strings.Join(words[:min(len(words), 3)], " ")
}

// Interfaces returns the addresses of an interface.
type Interfaces func(name string) []netip.Addr

// ThisHost returns the addresses of an interface of this host; none if there is no such interface.
func ThisHost(name string) (all []netip.Addr) {
	i, err := net.InterfaceByName(name)
	if err != nil {
		return nil
	}
	addresses, _ := i.Addrs()
	for _, a := range addresses {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			all = append(all, p.Addr().Unmap())
		}
	}
	return all
}

// source returns the address that adverts leave from: the first of the interface, with IPv6 a link-local one. If the host has no such
// address, it is one for documentation, and false.
func (of Interfaces) source(name string, ipv6 bool) (netip.Addr, bool) {
	for _, a := range of(name) {
		if a.Is6() == ipv6 && (!ipv6 || a.IsLinkLocalUnicast()) {
			return a, true
		}
	}
	if ipv6 {
		return netip.MustParseAddr("fe80::1"), false
	}
	return netip.MustParseAddr("192.0.2.1"), false
}
