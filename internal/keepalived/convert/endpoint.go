package convert

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/lvs-ha/lvs-ha/internal/keepalived"
)

// endpoint is an address and port, or a mark.
type endpoint struct {
	address   netip.AddrPort
	mark      uint32
	ipv6      bool // of a mark
	anyFamily bool // a mark whose family is that of its virtual_server
}

// name describes an endpoint with its protocol.
func (e endpoint) name() string {
	switch {
	case e.mark != 0:
		return fmt.Sprintf("mark-%d", e.mark)
	case e.address.Port() == 0:
		return e.address.Addr().String()
	}
	return e.address.String()
}

func (e endpoint) value() string {
	switch {
	case e.mark != 0:
		return fmt.Sprint(e.mark)
	case e.address.Port() == 0:
		return quote(e.address.Addr().String())
	}
	return quote(e.address.String())
}

func parseEndpoint(text, port string) (netip.AddrPort, bool) {
	a, valid := address(text)
	p, ok := 0, true
	if strings.Trim(port, "0") != "" {
		p, ok = loose(port, 1, 65535)
	}
	return netip.AddrPortFrom(a, uint16(p)), valid && ok
}

// dropOwn removes the endpoints of a group that are real servers too. It returns one of them.
func (s *service) dropOwn() (own string) {
	servers := map[netip.Addr]bool{}
	for _, r := range s.node.All("real_server") {
		if at, ok := parseServer(r.Args); ok {
			servers[at.Addr()] = true
		}
	}
	if len(s.endpoints) == 1 {
		return ""
	}
	s.endpoints = slices.DeleteFunc(slices.Clone(s.endpoints), func(e endpoint) bool {
		if !servers[e.address.Addr()] {
			return false
		}
		own = e.address.Addr().String()
		return true
	})
	return own
}

// byKind separates addresses from marks, and marks of IPv4 from those of IPv6: they need different attributes.
func (s *service) byKind() (kinds [][]endpoint) {
	var addresses, marks, marks6 []endpoint
	for _, e := range s.endpoints {
		switch {
		case e.mark == 0:
			addresses = append(addresses, e)
		case e.ipv6:
			marks6 = append(marks6, e)
		default:
			marks = append(marks, e)
		}
	}
	for _, k := range [][]endpoint{addresses, marks, marks6} {
		if len(k) > 0 {
			kinds = append(kinds, k)
		}
	}
	return kinds
}

func (s *service) name(e endpoint) string {
	if e.mark == 0 && s.protocol != "tcp" && s.node.Last("protocol") != nil {
		return e.name() + "/" + s.protocol
	}
	return e.name()
}

// uniqueIn returns a name that is not used yet.
func uniqueIn(used map[string]bool, name string) string {
	name = label(name)
	for i, base := 2, name; used[name]; i++ {
		name = fmt.Sprintf("%s-%d", base, i)
	}
	used[name] = true
	return name
}

// readGroups reads the virtual_server_groups.
func (c *converter) readGroups() {
	c.groups = map[string][]endpoint{}
	for _, n := range c.source.Nodes {
		if n.Keyword != "virtual_server_group" || len(n.Args) == 0 {
			continue
		}
		for _, v := range n.Values {
			if entries, ok := parseEntry(v.Words); ok {
				c.groups[n.Args[0]] = append(c.groups[n.Args[0]], entries...)
			}
		}
	}
}

// serverGroup records the fate of a group's entries; its virtual servers are written with them.
func (c *converter) serverGroup(l *line) {
	for _, v := range l.Values {
		if _, ok := parseEntry(v.Words); !ok {
			c.find(v.Position, "virtual_server_group", v.Words[0], Ignored, "It is not an address, a range or a mark.")
		}
	}
	used := slices.ContainsFunc(c.source.Nodes, func(n *keepalived.Node) bool {
		return n.Keyword == "virtual_server" && len(n.Args) > 1 && n.Args[0] == "group" && n.Args[1] == l.arg(0)
	})
	if !used {
		l.find(Ignored, "No virtual_server uses it.")
	}
}

// maxRange bounds the addresses of an entry of a group.
const maxRange = 4096

// parseEntry parses "ADDRESS[-END|/LENGTH] [PORT]" or "fwmark N [inet|inet6]".
func parseEntry(words []string) (entries []endpoint, ok bool) {
	words = append(slices.Clone(words), "", "", "")
	if words[0] == "fwmark" {
		mark, ok := loose(words[1], 1, 1<<32-1)
		return []endpoint{{mark: uint32(mark), ipv6: words[2] == "inet6", anyFamily: words[2] == ""}}, ok
	}
	text, last, isRange := strings.Cut(words[0], "-")
	p, err := netip.ParsePrefix(words[0])
	switch {
	case err == nil:
		text = p.Addr().String()
	case strings.Contains(words[0], "/"):
		return nil, false // keepalived skips an entry whose length is invalid
	}
	first, ok := parseEndpoint(text, words[1])
	if !ok {
		return nil, false
	}
	count := 1
	switch {
	case err == nil && p.Addr() == p.Masked().Addr() && p.Addr().BitLen()-p.Bits() <= 12:
		count = 1 << (p.Addr().BitLen() - p.Bits())
	case err == nil:
		return nil, false
	case isRange:
		if count, ok = rangeLength(first.Addr(), last); !ok {
			return nil, false
		}
	}
	for a := first.Addr(); count > 0; a, count = a.Next(), count-1 {
		entries = append(entries, endpoint{address: netip.AddrPortFrom(a, first.Port())})
	}
	return entries, true
}

// rangeLength returns the number of addresses up to an end, which is the last part of an address or, in keepalived 2.4, a whole one.
func rangeLength(first netip.Addr, end string) (int, bool) {
	if a, err := netip.ParseAddr(end); err == nil && a.BitLen() == first.BitLen() {
		for n, next := 1, first; n <= maxRange; n, next = n+1, next.Next() {
			if next == a {
				return n, true
			}
		}
		return 0, false
	}
	base, bytes := 10, 1
	if first.Is6() {
		base, bytes = 16, 2
	}
	value, err := strconv.ParseUint(end, base, 8*bytes)
	raw := first.AsSlice()
	low := uint64(raw[len(raw)-1])
	if bytes == 2 {
		low |= uint64(raw[len(raw)-2]) << 8
	}
	return int(value-low) + 1, err == nil && value >= low && value-low < maxRange
}
