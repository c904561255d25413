package convert

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/lvs-ha/lvs-ha/internal/keepalived"
)

func (c *converter) sourceAddress(l *line, b *block, v *instance) {
	if l.superseded(v.node.Children, "mcast_src_ip", "unicast_src_ip") {
		return
	}
	if len(l.Args) == 0 {
		l.doubt(Ignored, noValue)
		return
	}
	a, ok := address(l.arg(0))
	if !ok || a.Is6() != v.ipv6 {
		l.doubt(Ignored, "%q is not an address of the instance's family.", l.arg(0))
		return
	}
	if !l.cut(l.arg(0), a) {
		l.find(Same, "")
	}
	l.set(b, "source_address", quote(a.String()))
}

// addresses writes virtual addresses: as a list those without options, as blocks the others and, to keep the order of adverts, all
// that follow them.
func (c *converter) addresses(l *line, b *block, v *instance) {
	excluded, name := false, "addresses"
	if l.Keyword == "virtual_ipaddress_excluded" {
		excluded, name = true, "excluded_addresses"
	}
	l.find(Same, "")
	var plain listBuilder
	var others []*block
	for _, value := range l.Values {
		at := l.value(value)
		p, ok := at.prefix(value.Words[0])
		switch {
		case !ok:
			at.doubt(Ignored, "%q is not an address.", value.Words[0])
			continue
		case p.Addr().Is6() != v.ipv6 && excluded:
			at.find(Missing, "%s has another family than the other addresses: lvs-ha needs a vrrp block of its own for it, in one sync_group.", p)
			continue
		case p.Addr().Is6() != v.ipv6:
			at.doubt(Ignored, "%s has another family than the instance.", p)
			continue
		}
		on, dev := v.have[p.Addr()], v.device(value.Words)
		switch {
		case slices.Contains(on, dev) && excluded:
			at.doubt(Ignored, "The instance has %s already.", p.Addr())
			continue
		case len(on) > 0 && excluded && !p.Addr().IsLinkLocalUnicast():
			at.find(Missing, "The instance has %s on another interface already, and lvs-ha has such an address only once.", p.Addr())
			continue
		case len(on) > 0 && !excluded:
			at.find(Differs, "keepalived sends %s twice in its adverts, lvs-ha once; a peer with keepalived logs that.", p.Addr())
			continue
		}
		v.have[p.Addr()] = append(on, dev)
		if p.Addr().Is6() && p.Addr().IsLinkLocalUnicast() && v.other && !excluded {
			at.find(Equivalent, "lvs-ha lists link-local addresses first in its adverts, as RFC 9568 requires it.")
		}
		v.other = v.other || !excluded && !p.Addr().IsLinkLocalUnicast()
		extra := at.addressOptions(value.Words[1:], v, p)
		if len(extra.items) == 0 && len(others) == 0 && b.get(name) == "" && (excluded || b.find("address") == nil) {
			plain.add(p.String(), at)
			continue
		}
		extra.kind, extra.label, extra.single, extra.notes = "address", p.String(), true, at.notes()
		if excluded {
			extra.set("excluded", "true", notes{})
		}
		others = append(others, extra)
	}
	if len(others) == 0 {
		plain.addEnd(l)
	}
	switch {
	case len(plain) > 0:
		b.setList(name, plain, l.notes())
	case len(others) > 0:
		head := l.notes()
		others[0].notes.above = slices.Concat(head.lines(), others[0].notes.above)
	}
	for _, o := range others {
		b.add(o)
	}
	if len(others) > 0 {
		b.comment(c.takeEnd(l.Node)...)
	}
}

// device returns the interface that an address is on; "" if it is that of the other addresses.
func (v *instance) device(words []string) string {
	if i := slices.Index(words, "dev"); i > 0 && i+1 < len(words) && !v.isOwn(words[i+1]) {
		return words[i+1]
	}
	return ""
}

// addressOptions converts the words after an address.
func (l *line) addressOptions(words []string, v *instance, at netip.Prefix) *block {
	b := &block{}
	for i := 0; i < len(words); i++ {
		next := ""
		if i+1 < len(words) {
			next = words[i+1]
		}
		switch words[i] {
		case "dev":
			if !v.isOwn(next) {
				b.set("interface", quote(next), notes{})
			}
			i++
		case "label":
			if v.ipv6 {
				l.find(Ignored, "IPv6 addresses have no label.")
			} else {
				b.set("label", quote(next), notes{})
			}
			i++
		case "scope":
			l.scope(b, next, v)
			i++
		case "broadcast", "brd":
			l.broadcast(b, next, at)
			i++
		case "peer":
			if p, ok := prefix(next); ok && p.Addr().Is6() == v.ipv6 {
				b.set("peer", quote(p.Addr().String()), notes{})
			} else {
				l.doubt(Ignored, "%q is not an address of the instance's family.", next)
			}
			i++
		case "preferred_lft":
			switch {
			case next == "forever" && v.ipv6:
				b.set("preferred", "true", notes{})
			case next == "0" && v.ipv6:
				b.set("preferred", "false", notes{})
			case next != "forever":
				l.find(Missing, "Only IPv6 addresses can be not preferred, and only for ever.")
			}
			i++
		case "noprefixroute":
			b.set("prefix_route", "false", notes{})
		case "no_track":
			l.find(Equivalent, "lvs-ha restores a deleted address.")
		case "home", "mngtmpaddr", "autojoin", "-nodad", "use_vmac":
			l.find(Missing, "%s cannot be set.", words[i])
		default:
			l.doubt(Ignored, "keepalived does not know %q.", words[i])
		}
	}
	return b
}

func (l *line) scope(b *block, scope string, v *instance) {
	switch {
	case scope == "global" || scope == "universe" || scope == "0":
	case v.ipv6:
		l.find(Ignored, "The kernel decides the scope of an IPv6 address.")
	case scope == "site" || scope == "link" || scope == "host":
		b.set("scope", quote(scope), notes{})
	default:
		l.find(Missing, "The scope %s cannot be set.", scope)
	}
}

// broadcast converts an address, "+" for the network's usual one, or "-" for the one with zeros.
func (l *line) broadcast(b *block, text string, at netip.Prefix) {
	a, err := netip.ParseAddr(text)
	switch {
	case text == "+":
		return
	case text == "-" && at.Bits() <= 30:
		a = at.Masked().Addr()
	case err != nil || !a.Is4():
		l.doubt(Ignored, "%q is not a broadcast address.", text)
		return
	}
	b.set("broadcast", quote(a.String()), notes{})
}

// listBuilder is a list of strings with their comments.
type listBuilder []listElement

type listElement struct {
	text       string
	expression string // with local values; "": the text
	notes
	end     bool // no element, but the comments after the last one
	refused bool // lvs-ha refuses it
}

// add adds what a line becomes. What was carried to it stays so: it is about other lines.
func (b *listBuilder) add(text string, l *line) {
	above, trailing := l.c.take(l.Position, l.comments.Words[0], l.comments.Above, l.comments.Trailing)
	*b = append(*b, listElement{text: text, notes: notes{above: above, trailing: trailing, from: l.origin()}})
}

// addEnd adds the comments at the end of the block that the list comes from.
func (b *listBuilder) addEnd(l *line) {
	if len(*b) == 0 {
		return
	}
	if above := l.c.takeEnd(l.Node); slices.ContainsFunc(above, isComment) {
		*b = append(*b, listElement{notes: notes{above: above}, end: true})
	}
}

// String returns the list, on one line if it is short and has no comments.
func (b listBuilder) String() string {
	width, comments := 0, false
	var texts []string
	for _, e := range b {
		texts = append(texts, e.value())
		width += len(e.text) + len(`"", `)
		comments = comments || e.trailing != "" || slices.ContainsFunc(e.above, isComment)
	}
	if !comments && width < 100 {
		return "[" + strings.Join(texts, ", ") + "]"
	}
	return b.lines()
}

func (e listElement) value() string { return cmp.Or(e.expression, quote(e.text)) }

// lines returns the list with each element on a line of its own.
func (b listBuilder) lines() string {
	var out strings.Builder
	out.WriteString("[\n")
	for _, e := range b {
		for _, c := range rowComments(e.above) {
			out.WriteString(c + "\n")
		}
		if e.end {
			continue
		}
		out.WriteString(e.value() + ",")
		if e.trailing != "" {
			out.WriteString(trailingMark + e.trailing)
		}
		out.WriteByte('\n')
	}
	out.WriteString("]")
	return out.String()
}

func (c *converter) unicastPeers(l *line, b *block, v *instance) {
	l.find(Same, "")
	var values []keepalived.Value
	for i, n := range v.node.All("unicast_peer") {
		if i == 0 && n != l.Node {
			return
		}
		values = append(values, n.Values...)
	}
	var peers listBuilder
	lowest, highest := 256, -1
	have := map[netip.Addr]bool{}
	for _, value := range values {
		at := l.value(value)
		a, ok := address(value.Words[0])
		switch {
		case !ok || a.Is6() != v.ipv6:
			at.doubt(Ignored, "%q is not an address of the instance's family.", value.Words[0])
			continue
		case have[a]:
			at.find(Ignored, "keepalived ignores it: the peer %s is listed twice.", a)
			continue
		}
		have[a] = true
		at.cut(value.Words[0], a)
		least, most := 1, 255
		for i := 1; i+1 < len(value.Words); i += 2 {
			if ttl, ok := number(value.Words[i+1], 0, 255); ok {
				switch value.Words[i] {
				case "min_ttl":
					least = max(ttl, 1)
				case "max_ttl":
					most = max(ttl, 1)
				}
			}
		}
		if highest >= 0 && (least != lowest || most != highest) {
			at.find(Differs, "The range of TTLs is one for all peers: the widest was taken.")
		}
		lowest, highest = min(lowest, least), max(highest, most)
		peers.add(a.String(), at)
	}
	if len(peers) == 0 {
		const text = "No peer is an address of the instance's family. Without peers, keepalived uses multicast, and so does this instance: write unicast_peers."
		l.doubt(Ignored, text)
		c.carried = append(c.carried, l.Keyword+": "+text)
		return
	}
	for _, n := range v.node.All("unicast_peer") {
		peers.addEnd(&line{Node: n, c: c})
	}
	b.setList("unicast_peers", peers, l.notes())
	// keepalived accepts any TTL, lvs-ha by default only 255.
	b.set("unicast_min_ttl", fmt.Sprint(lowest), notes{})
	if highest < 255 {
		b.set("unicast_max_ttl", fmt.Sprint(highest), notes{})
	}
}
