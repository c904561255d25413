package convert

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/keepalived"
)

func parseServer(args []string) (netip.AddrPort, bool) {
	args = append(slices.Clone(args), "", "")
	return parseEndpoint(args[0], args[1])
}

// timers are the settings that a check inherits from its real server, and this from its virtual server.
type timers struct {
	interval, timeout, retryInterval time.Duration // retryInterval −1: the check's default
	retry                            int           // −1: the check's default
	host                             string
	port                             uint16 // 0: that of the real server
}

// read reads the lines of a check, or of what it inherits from: keepalived insists on a number of retries only there.
func (t timers) read(nodes []*keepalived.Node, inherited bool) timers {
	for _, n := range nodes {
		if len(n.Args) == 0 {
			continue
		}
		d, ok := looseSeconds(n.Args[0])
		switch n.Keyword {
		case "delay_loop":
			if ok && d > 0 {
				t.interval = d
			}
		case "connect_timeout":
			if ok && d > 0 {
				t.timeout = d
			}
		case "misc_timeout":
			if s, ok := loose(n.Args[0], 1, 1<<31-1); ok {
				t.timeout = time.Duration(s) * time.Second
			}
		case "delay_before_retry":
			if ok {
				t.retryInterval = d
			}
		case "retry", "nb_get_retry":
			r, ok := loose(n.Args[0], 0, 1<<31-1)
			if inherited {
				r, ok = number(n.Args[0], 1, 1<<31-1)
			}
			if ok {
				t.retry = r
			}
		case "virtualhost":
			t.host = n.Args[0]
		}
	}
	return t
}

func (c *converter) realServer(l *line, b *block, s *service) {
	at, ok := parseServer(l.Args)
	if !ok {
		l.doubt(Ignored, "It has no valid address and port.")
		return
	}
	if len(s.endpoints) == 1 && s.endpoints[0].address.Addr() == at.Addr() {
		l.find(Missing, "lvs-ha does not balance to the service's own address, here %s.", at)
		return
	}
	at, checked := s.mapped(at, forwardings[lastArg(l.Node, "lvs_method")])
	name := serverLabel(at, s.port)
	if s.have[name] {
		l.doubt(Ignored, "The real server is there already.")
		return
	}
	s.have[name] = true
	_, _ = l.lenient(l.arg(1), 0, 65535)
	if !l.cut(l.arg(0), at.Addr()) && !l.told {
		l.find(Same, "")
	}
	r := b.add(&block{kind: "real_server", label: name, single: true, notes: l.notes()})
	t := s.timers.read(l.Children, true)
	t.port = checked
	if weightOf(l.Node, 0, -1) < 0 && s.weight != 1 {
		r.set("weight", fmt.Sprint(s.weight), notes{})
	}
	if down := s.startsDown(l.Node); down != s.alpha() {
		r.set("init", quote(map[bool]string{true: "down", false: "up"}[down]), notes{})
	}
	c.each("real_server", l.Children, r, func(l2 *line) { c.serverLine(l2, r, l.Node, s, t) })
	if s.method != nil && forwardings[lastArg(l.Node, "lvs_method")] == "" {
		(&line{Node: s.method, c: c.again()}).tunnel(r)
	}
}

// mapped returns the address of a server without a port that its forwarding, which is the service's if empty, cannot use: only NAT can
// change the port. For the other methods keepalived takes the service's, and checks the given one.
func (s *service) mapped(at netip.AddrPort, forwarding string) (server netip.AddrPort, checked uint16) {
	if at.Port() == s.port || cmp.Or(forwarding, s.forwarding) == "nat" {
		return at, 0
	}
	return netip.AddrPortFrom(at.Addr(), 0), at.Port()
}

// lastArg returns the first argument of the last line with a keyword, or "".
func lastArg(n *keepalived.Node, keyword string) string {
	if l := n.Last(keyword); l != nil && len(l.Args) > 0 {
		return l.Args[0]
	}
	return ""
}

func serverLabel(at netip.AddrPort, port uint16) string {
	if at.Port() == 0 || at.Port() == port {
		return at.Addr().String()
	}
	return at.String()
}

func (c *converter) serverLine(l *line, b *block, server *keepalived.Node, s *service, t timers) {
	if kind := checkKinds[l.Keyword]; kind != "" || l.Keyword == "BFD_CHECK" {
		if weightOf(server, 0, s.weight) == 0 && c.setsWeight(l.Node) {
			l.find(Differs, "The weight 0 stays 0, whatever the check says. Write another one.")
		}
		c.check(l, b, kind, t)
		return
	}
	if l.Keyword == "weight" {
		if n, ok := l.serverWeight(server, 0); ok && n != 1 {
			l.set(b, "weight", fmt.Sprint(n))
		}
		return
	}
	if l.superseded(server.Children, l.Keyword) {
		return
	}
	switch l.Keyword {
	case "uthreshold":
		l.count(b, "upper_threshold", 0, 1<<31-1)
	case "lthreshold":
		if upper, ok := loose(lastArg(server, "uthreshold"), 1, 1<<31-1); !ok || upper == 0 {
			l.find(Ignored, "It has no effect without uthreshold.")
			return
		}
		l.count(b, "lower_threshold", 0, 1<<31-1)
	case "lvs_method":
		c.serverForwarding(l, b, s)
	case "notify_up", "notify_down":
		c.notify(l, b, server.Children, len(s.endpoints))
	case "smtp_alert":
		l.alertOff("servers")
	case "inhibit_on_failure":
		inhibits, known := truths[l.arg(0)]
		if !known {
			l.doubt(Ignored, "keepalived does not know %q.", l.arg(0))
			return
		}
		l.find(Same, "")
		if s.inhibits != inhibits {
			l.set(b, "on_failure", quote(map[bool]string{true: "weight", false: "remove"}[inhibits]))
		}
	}
}

// serverWeight records the fate of a line with a weight, and returns what it says if keepalived uses it: the last one that is valid.
func (l *line) serverWeight(in *keepalived.Node, lowest int) (int, bool) {
	if !isWeight(l.Node, lowest) {
		l.doubt(Ignored, "%q is not a weight from %d to 65535.", l.arg(0), lowest)
		return 0, false
	}
	all := in.All("weight")
	for _, later := range all[slices.Index(all, l.Node)+1:] {
		if isWeight(later, lowest) {
			l.find(Ignored, "Line %d overrides it.", later.Line)
			return 0, false
		}
	}
	n, ok := l.lenient(l.arg(0), lowest, 65535)
	if !l.told {
		l.find(Same, "")
	}
	return n, ok
}

func isWeight(n *keepalived.Node, lowest int) bool {
	if len(n.Args) == 0 {
		return false
	}
	_, ok := loose(n.Args[0], lowest, 65535)
	return ok
}

// weightOf returns the weight of the last valid line in a block.
func weightOf(in *keepalived.Node, lowest, otherwise int) int {
	for _, n := range in.All("weight") {
		if isWeight(n, lowest) {
			otherwise, _ = loose(n.Args[0], lowest, 65535)
		}
	}
	return otherwise
}

// serverForwarding writes "lvs_method METHOD [type T] [port P] [csum|nocsum|remcsum]".
func (c *converter) serverForwarding(l *line, b *block, s *service) {
	f := forwardings[l.arg(0)]
	if f == "" {
		l.doubt(Ignored, "keepalived does not know the method %q.", l.arg(0))
		return
	}
	l.find(Same, "")
	if f != s.forwarding {
		l.set(b, "forwarding", quote(f))
	}
	l.tunnel(b)
}

// tunnel adds the block for the words after the method TUN.
func (l *line) tunnel(b *block) {
	if forwardings[l.arg(0)] != "tun" || len(l.Args) == 1 {
		return
	}
	t := tunnel(l.Args[1:])
	if t == nil {
		l.find(Ignored, "keepalived uses an IP in IP tunnel.")
		return
	}
	b.add(t)
}

// alertOff records that mail cannot be turned off for one of several.
func (l *line) alertOff(things string) {
	if on, ok := truth(l.Args); ok && !on {
		l.find(Differs, "notify_email sends mail about all %s.", things)
	}
}

// tunnel returns the block for "[type T] [port P] [csum|nocsum|remcsum]"; nil for an IP in IP tunnel, which keepalived also uses if the
// words contradict each other.
func tunnel(words []string) *block {
	kind, port, checksum := "ipip", 0, ""
	for i := 0; i < len(words); i++ {
		ok := true
		switch word := words[i]; {
		case word == "type" && i+1 < len(words):
			i++
			kind, ok = words[i], slices.Contains([]string{"ipip", "gue", "gre"}, words[i])
		case word == "port" && i+1 < len(words):
			i++
			port, ok = number(words[i], 1, 65535)
		case slices.Contains([]string{"nocsum", "csum", "remcsum"}, word):
			checksum = word
		default:
			ok = false
		}
		if !ok {
			return nil
		}
	}
	if kind == "ipip" || (kind == "gue") != (port != 0) || kind == "gre" && checksum == "remcsum" {
		return nil
	}
	t := &block{kind: "tunnel"}
	t.set("type", quote(kind), notes{})
	if port != 0 {
		t.set("port", fmt.Sprint(port), notes{})
	}
	if checksum != "" {
		t.set("checksum", quote(checksum), notes{})
	}
	return t
}

func (c *converter) sorryServer(l *line, b *block, s *service) {
	at, ok := parseServer(l.Args)
	if !ok {
		l.doubt(Ignored, "It has no valid address and port.")
		return
	}
	for _, n := range s.node.All("real_server") {
		if real, ok := parseServer(n.Args); ok && real == at {
			l.find(Missing, "It is also a real server, and cannot be both.")
			return
		}
	}
	if !l.cut(l.arg(0), at.Addr()) {
		l.find(Same, "")
	}
	m := s.node.Last("sorry_server_lvs_method")
	at, _ = s.mapped(at, forwardings[lastArg(s.node, "sorry_server_lvs_method")])
	r := b.add(&block{kind: "sorry_server", label: serverLabel(at, s.port), single: true, notes: l.notes()})
	if m != nil && len(m.Args) > 0 {
		if f := forwardings[m.Args[0]]; f != "" && f != s.forwarding {
			r.set("forwarding", quote(f), notes{})
		}
		(&line{Node: m, c: c.again()}).tunnel(r)
	} else if s.method != nil {
		(&line{Node: s.method, c: c.again()}).tunnel(r)
	}
}

// hoistChecks moves checks that all real servers have to their service. Comments that the servers do not have in common stay with them.
func (c *converter) hoistChecks(b *block) {
	var servers []*item
	first := -1
	for i := range b.items {
		if it := &b.items[i]; it.block != nil && it.block.kind == "real_server" {
			servers = append(servers, it)
			if first < 0 {
				first = i
			}
		}
	}
	if len(servers) < 2 {
		return
	}
	var checks, own []item // of each server: one block with its checks, and what else it has
	for _, s := range servers {
		of, others := s.block.checks()
		checks, own = append(checks, item{block: &block{items: of}}), append(own, item{block: &block{items: others}})
		if len(of) == 0 || printed(bare(of)) != printed(bare(checks[0].block.items)) {
			return
		}
	}
	for i, lines := range shareNotes(checks) {
		servers[i].notes.above = append(servers[i].notes.above, lines...)
		servers[i].block.items = own[i].block.items
	}
	b.items = slices.Insert(b.items, first, checks[0].block.items...)
}

// bare returns items without their comments.
func bare(items []item) (out []item) {
	for _, i := range items {
		if i.name == "" && i.block == nil {
			continue
		}
		i.notes = notes{}
		if b := i.block; b != nil {
			i.block = &block{kind: b.kind, label: b.label, single: b.single, items: bare(b.items)}
		}
		out = append(out, i)
	}
	return out
}

// shareNotes leaves the first of items that only differ in their comments with those that all have, or that only one has, and returns
// the others of each.
func shareNotes(same []item) (others [][]string) {
	others = make([][]string, len(same))
	all := make([][]string, len(same))
	for n, i := range same {
		all[n] = i.notes.lines()
	}
	from := same[0].notes.from
	if only, one := onlyOne(all); one {
		n := same[only].notes
		if same[0].block != nil && !slices.Equal(all[0], all[len(all)-1]) { // what stands above may be about the server
			others[only], n.above = n.above, nil
		}
		same[0].notes = n
	} else {
		same[0].notes, others = notes{}, all
	}
	same[0].notes.from = from
	if same[0].block == nil {
		return others
	}
	same[0].block.notes = same[0].notes
	inner := make([][]item, len(same))
	loose := make([][]string, len(same))
	for n, i := range same {
		for _, it := range i.block.items {
			if it.name == "" && it.block == nil {
				loose[n] = append(loose[n], it.notes.above...)
			} else {
				inner[n] = append(inner[n], it)
			}
		}
	}
	only, one := onlyOne(loose)
	for n, lines := range loose {
		if !one {
			others[n] = append(others[n], lines...)
		}
	}
	for at := range inner[0] {
		column := make([]item, len(same))
		for n := range inner {
			column[n] = inner[n][at]
		}
		for n, lines := range shareNotes(column) {
			others[n] = append(others[n], lines...)
		}
		inner[0][at] = column[0]
	}
	same[0].block.items = inner[0]
	if one {
		same[0].block.comment(loose[only]...)
	}
	return others
}

// onlyOne returns which comments stand for all: those that all have, or that only one has.
func onlyOne(all [][]string) (only int, is bool) {
	with := 0
	for n, lines := range all {
		if slices.ContainsFunc(lines, isComment) {
			only = n
			with++
		}
	}
	equal := !slices.ContainsFunc(all, func(lines []string) bool { return !slices.Equal(lines, all[0]) })
	return only, with < 2 || equal
}

// checks returns the checks among the items of a server, and the other items.
func (b *block) checks() (checks, others []item) {
	for _, i := range b.items {
		if i.block != nil && i.block.kind == "health_check" {
			checks = append(checks, i)
		} else {
			others = append(others, i)
		}
	}
	return checks, others
}

func printed(items []item) string {
	return string((&block{items: items}).print())
}
