package convert

import (
	"fmt"
	"strings"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/keepalived"
)

// announce writes the announce block from the instance's lines and the global ones.
func (c *converter) announce(b *block, v *instance) {
	a := c.announcement(v)
	if len(a.items) > 0 {
		a.notes = c.reservedNotes(v.node.Children, announceWords...)
		a.notes.above = append(a.notes.above, v.aboutAnnounce...)
		b.add(a)
	}
}

// announcement returns the announce block; it is empty with the defaults.
func (c *converter) announcement(v *instance) *block {
	g := c.globals.garp
	for _, n := range v.node.Children {
		if len(n.Args) == 0 {
			continue
		}
		switch n.Keyword {
		case "garp_master_repeat":
			g.repeat = parseOr(n.Args[0], g.repeat)
		case "garp_master_delay":
			g.delay = parseOr(n.Args[0], g.delay)
		case "garp_master_refresh":
			g.refresh = parseOr(n.Args[0], g.refresh)
		}
	}
	a := &block{kind: "announce", single: true}
	if g.repeat >= 0 && g.repeat != 5 {
		a.set("count", fmt.Sprint(min(max(g.repeat, 1), 100)), notes{})
	}
	if g.delay >= 0 && g.delay != 5 {
		a.set("repeat_after", duration(min(time.Duration(g.delay)*time.Second, time.Hour)), notes{})
	}
	if g.refresh > 0 {
		a.set("refresh", duration(min(time.Duration(g.refresh)*time.Second, 24*time.Hour)), notes{})
	}
	return a
}

var announceWords = []string{"garp_master_repeat", "garp_master_delay", "garp_master_refresh"}

// garpGroup writes an announce_limit block for a garp_group.
func (c *converter) garpGroup(l *line) {
	names := c.limitedInterfaces(l)
	switch {
	case l.Last("garp_interval", "gna_interval") == nil:
		l.doubt(Ignored, "keepalived removes it: it has no interval.")
		return
	case len(names) == 0:
		l.find(Ignored, "It applies to no interface.")
		return
	}
	l.find(Same, "")
	b := c.root.add(&block{kind: "announce_limit", notes: l.notes()})
	b.set("interfaces", quoteAll(names), notes{})
	c.each("garp_group", l.Children, b, func(l2 *line) {
		if strings.HasSuffix(l2.Keyword, "_interval") && !l2.superseded(l.Children, l2.Keyword) {
			l2.announceInterval(b)
		}
	})
}

// limitedInterfaces returns the interfaces of a garp_group that are in no earlier one.
func (c *converter) limitedInterfaces(l *line) (names []string) {
	add := func(at keepalived.Position, word, name string) {
		switch {
		case len(name) > maxInterface || name == "" || strings.ContainsAny(name, "/:"):
			c.find(at, "garp_group", word, Ignored, fmt.Sprintf("%q is not the name of an interface.", name))
		case c.limited[name]:
			c.find(at, "garp_group", word, Ignored, fmt.Sprintf("keepalived uses the first garp_group of %s.", name))
		default:
			c.limited[name] = true
			names = append(names, name)
		}
	}
	for _, n := range l.Children {
		switch {
		case n.Keyword == "interface" && len(n.Args) > 0:
			add(n.Position, n.Keyword, n.Args[0])
		case n.Keyword == "interfaces":
			for _, value := range n.Values {
				for _, name := range value.Words {
					add(value.Position, n.Keyword, name)
				}
			}
		}
	}
	return names
}

// announceInterval sets an interval of an announce_limit block.
func (l *line) announceInterval(b *block) {
	const most = time.Hour
	name := "arp_interval"
	if strings.Contains(l.Keyword, "gna") {
		name = "na_interval"
	}
	d, ok := seconds(l.arg(0))
	switch {
	case !ok:
		l.doubt(Ignored, "%q is not a number of seconds.", l.arg(0))
		return
	case d == 0:
		l.find(Equivalent, "0 is the default: announcements have no pause between them.")
		return
	case d > most:
		l.find(Differs, "The longest interval is %s.", duration(most))
		d = most
	case name == "arp_interval":
		l.find(Equivalent, bothARP)
	default:
		l.find(Same, "")
	}
	l.set(b, name, duration(d))
}

// announceLimit writes a global interval to the announce_limit block without interfaces.
func (l *line) announceLimit(all []*keepalived.Node) {
	if l.superseded(all, l.Keyword) {
		return
	}
	b := &block{kind: "announce_limit"}
	l.announceInterval(b)
	switch {
	case len(b.items) == 0:
	case l.c.limit == nil:
		l.c.limit = l.c.root.add(b)
	default:
		l.c.limit.items = append(l.c.limit.items, b.items...)
		l.c.limit.settle()
	}
}
