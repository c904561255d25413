package convert

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/keepalived"
)

// ldService is what ldirectord makes of a virtual section.
type ldService struct {
	node       *keepalived.Node
	own        ldSettings
	at         endpoint
	ipv6       bool
	protocol   string // tcp, udp or fwm
	service    string
	checktype  string
	forwarding string          // of the first real server
	have       map[string]bool // labels of its real servers
	about      []string        // comments about the lines that its check comes from
}

var (
	ldAddress = regexp.MustCompile(`^(\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._+-]+):([0-9A-Za-z_-]+)$`)
	ldReal    = regexp.MustCompile(`^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+?)(->(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+))?(:([A-Za-z0-9_-]+))?\s+(gate|masq|ipip)\b(.*)$`)
	ldChecks  = regexp.MustCompile(`^\s+"(.*)"[, ]\s*"(.*)"(.*)$`)
)

var ldForwardings = map[string]string{"gate": "dr", "masq": "nat", "ipip": "tun"}

// ldServices are the services that ldirectord checks on a port unless told otherwise.
var ldServices = map[int]string{
	21: "ftp", 25: "smtp", 53: "dns", 80: "http", 110: "pop", 119: "nntp", 143: "imap", 389: "ldap", 443: "https", 587: "submission",
	636: "ldaps", 993: "imaps", 995: "pops", 1521: "oracle", 1812: "radius", 3128: "http_proxy", 3306: "mysql", 5060: "sip", 5432: "pgsql",
}

// ldUsualPort returns the port of a service that ldirectord checks, or 0.
func ldUsualPort(service string) int {
	for port, name := range ldServices {
		if name == service {
			return port
		}
	}
	return 0
}

// virtual converts a virtual section.
func (d *ldirectord) virtual(l *line) {
	s, fault := d.readVirtual(l)
	if fault != "" {
		l.find(Missing, "%s", fault)
		return
	}
	key := s.protocol + " " + s.at.value() + fmt.Sprint(s.ipv6)
	if d.seen[key] {
		l.find(Differs, "The virtual service is there already: ldirectord refuses the whole file.")
		return
	}
	d.seen[key] = true
	if d.indented[l.Node] {
		l.find(Differs, "ldirectord reads no indented virtual line and refuses the whole file; it was taken as if it were not indented.")
	} else if s.service == "none" && s.own["service"] == "" && s.negotiated() {
		l.find(Equivalent, "Without a service, ldirectord checks nothing here: the real servers are always in use.")
		if !d.unchecked { // the first one
			d.unchecked = true
			d.suspect()
		}
	} else {
		l.find(Same, "")
	}
	b := &block{kind: "virtual_service", notes: d.stop(l.notes())}
	if text := s.own["comment"]; text != "" {
		b.notes.above = append(b.notes.above, text)
	}
	for _, words := range ldChecked {
		d.reserve(l.Children, words...)
	}
	d.reserve(l.Children, "fallback", "fallback6")
	b.label = uniqueIn(d.names, label(firstOf(s.own["servicename"], s.at.name())))
	attribute := "address"
	if s.at.mark != 0 {
		attribute = "mark"
	}
	b.set(attribute, s.at.value(), notes{})
	if s.at.mark != 0 && s.ipv6 {
		b.set("family", quote("ipv6"), notes{})
	}
	if s.protocol == "udp" {
		b.set("protocol", quote("udp"), notes{})
	}
	d.each(ldVirtual, l.Children, b, func(l2 *line) {
		d.virtualLine(l2, b, s)
		if d.comments.reserved[commentPlace{l2.Position, l2.Keyword}] { // what was found out about it stands at the check
			s.about = append(s.about, d.carried[l2.mark:]...)
			d.carried = slices.Clip(d.carried[:l2.mark])
		}
	})
	d.implied(b, s)
	b.settle()
	d.root.add(b)
}

func firstOf(values ...string) string {
	i := slices.IndexFunc(values, func(v string) bool { return v != "" })
	return values[max(i, 0)]
}

func (d *ldirectord) readVirtual(l *line) (s *ldService, fault string) {
	s = &ldService{node: l.Node, own: d.read(l.Children), ipv6: l.Keyword == "virtual6", protocol: "tcp", forwarding: "dr", have: map[string]bool{}}
	value := l.arg(0)
	if mark, ok := number(value, 1, 1<<32-1); ok {
		s.at, s.protocol = endpoint{mark: uint32(mark), ipv6: s.ipv6}, "fwm"
	} else {
		m := ldAddress.FindStringSubmatch(value)
		if m == nil {
			return nil, fmt.Sprintf("%q is neither an address with a port nor a firewall mark.", value)
		}
		a, err := netip.ParseAddr(strings.Trim(m[1], "[]"))
		if err != nil {
			return nil, fmt.Sprintf("lvs-ha does not look up names: write the address of %s.", m[1])
		}
		if m[2] == "53" || m[2] == "domain" {
			s.protocol = "udp"
		}
		if p := s.own["protocol"]; p == "tcp" || p == "udp" {
			s.protocol = p
		}
		port, ok := ldPort(m[2], s.protocol)
		if !ok {
			return nil, fmt.Sprintf("There is no port named %s.", m[2])
		}
		s.at, s.ipv6 = endpoint{address: netip.AddrPortFrom(a, port)}, a.Is6()
	}
	s.service = s.own["service"]
	if s.service == "" {
		s.service = firstOf(ldServices[int(s.at.address.Port())], "none")
	}
	s.checktype = firstOf(s.own["checktype"], "negotiate")
	for _, n := range l.Children {
		if m := ldReal.FindStringSubmatch(argument(n)); m != nil && strings.HasPrefix(n.Keyword, "real") {
			s.forwarding = ldForwardings[m[6]]
			break
		}
	}
	return s, ""
}

func argument(n *keepalived.Node) string {
	if len(n.Args) == 0 {
		return ""
	}
	return n.Args[0]
}

func ldPort(name, protocol string) (uint16, bool) {
	if n, ok := number(name, 0, 65535); ok {
		return uint16(n), true
	}
	if protocol != "udp" {
		protocol = "tcp"
	}
	n, err := net.LookupPort(protocol, name)
	return uint16(n), err == nil
}

func (d *ldirectord) virtualLine(l *line, b *block, s *ldService) {
	value := unquote(l.arg(0))
	switch l.Keyword {
	case "real", "real6":
		d.real(l, b, s)
		return
	}
	if _, known := ldirectordWords[ldVirtual][l.Keyword]; !known {
		l.find(Differs, "ldirectord does not know this line here and refuses the whole file; it was left out.")
		return
	}
	if l.Keyword != "service" && l.refusedChoice(value) || l.superseded(s.node.Children, l.Keyword) {
		return
	}
	switch l.Keyword {
	case "scheduler":
		if slices.Contains(schedulers, value) {
			l.find(Same, "")
			l.set(b, "scheduler", quote(value))
		} else {
			l.find(Differs, "The kernel has no scheduler %q; wrr is used.", value)
		}
	case "persistent":
		d.persistent(l, b, s)
	case "netmask":
		if s.own["persistent"] == "" {
			l.find(Ignored, "It has no effect without persistent.")
		} else if fault := s.maskError(); fault != "" {
			l.find(Differs, "%s", fault)
		}
	case "schedflags":
		d.schedulerFlags(l, b, s, value)
	case "ops":
		if value == "yes" && s.protocol == "udp" {
			l.set(b, "one_packet", "true")
		}
	case "quiescent":
		l.find(Same, "")
	case "checkinterval":
		if d.globals["fork"] != "yes" {
			l.find(Ignored, "ldirectord uses the global one without fork = yes.")
		}
	case "checkcount":
		d.checkCount(l, s.checktype)
	case "cleanstop":
		if value == firstOf(d.globals["cleanstop"], "yes") {
			l.find(Same, "")
		}
	case "checktype":
		d.checkType(l, s)
	case "service":
		d.serviceWord(l, s)
	case "request", "receive":
		if !d.unused(l, s) && l.Keyword == "receive" {
			d.receive(l, s, value)
		}
	case "login", "passwd", "database", "secret":
		if value == "" || s.checktype == "connect" || s.checktype == "ping" {
			l.find(Ignored, "It only affects checks that log in.")
		}
	}
}

func (d *ldirectord) persistent(l *line, b *block, s *ldService) {
	n := atLeast(l.arg(0), 1, 0)
	if n == 0 || n > 31*86400 {
		l.find(Differs, "%q is not a number of seconds up to 31 days.", l.arg(0))
		return
	}
	l.find(Same, "")
	p := b.add(&block{kind: "persistence", notes: l.notes()})
	p.set("timeout", duration(time.Duration(n)*time.Second), notes{})
	if mask := s.own["netmask"]; mask != "" && s.maskError() == "" {
		if s.ipv6 {
			p.set("prefix", mask, notes{})
		} else {
			p.set("netmask", quote(mask), notes{})
		}
	}
}

// maskError says what is wrong with the mask of persistent clients.
func (s *ldService) maskError() string {
	mask := s.own["netmask"]
	if s.ipv6 {
		if _, ok := number(mask, 1, 128); !ok {
			return fmt.Sprintf("%q is not the length of a prefix: ldirectord refuses the whole file; it was left out.", mask)
		}
		return ""
	}
	ip := net.ParseIP(mask).To4()
	if ones, bits := net.IPMask(ip).Size(); ip == nil || bits == 0 || ones == 0 {
		return fmt.Sprintf("%q is not a mask; it was left out.", mask)
	}
	return ""
}

// schedulerFlags writes the flags that the kernel's scheduler has.
func (d *ldirectord) schedulerFlags(l *line, b *block, s *ldService, value string) {
	scheduler := s.own["scheduler"]
	var flags []string
	for flag := range strings.SplitSeq(value, ",") {
		of, name, _ := strings.Cut(flag, "-")
		switch {
		case of == scheduler && (of == "sh" || of == "mh") && (name == "port" || name == "fallback"),
			of == "flag" && (name == "1" || name == "2" || name == "3"):
			flags = append(flags, flag)
		default:
			l.find(Differs, "The scheduler has no flag %q; it was left out.", flag)
		}
	}
	if len(flags) > 0 {
		l.set(b, "scheduler_flags", quoteAll(flags))
	}
}

// implied writes what the lines of a section do not say themselves.
func (d *ldirectord) implied(b *block, s *ldService) {
	if b.get("scheduler") == "" {
		b.set("scheduler", quote("wrr"), notes{})
	}
	b.set("forwarding", quote(s.forwarding), notes{})
	if d.setting(s, "quiescent") == "yes" {
		b.set("on_failure", quote("weight"), notes{})
	}
	name := "fallback"
	if s.ipv6 {
		name = "fallback6"
	}
	if fallback := d.setting(s, name); fallback != "" {
		if s.at.mark != 0 && s.own[name] == "" {
			d.find(s.node.Position, ldVirtual, s.node.Keyword, Differs, "ldirectord cannot add the global fallback to a firewall mark; here it is used.")
		}
		d.fallback(b, s, fallback)
	}
	if command := d.setting(s, "fallbackcommand"); command != "" {
		n := b.add(&block{kind: "notify"})
		for _, to := range [][2]string{{"down", "start"}, {"up", "stop"}} {
			words := append(strings.Fields(command), to[1], strings.Trim(s.at.value(), `"`), s.protocol)
			if strings.ContainsAny(command, "\"'`$&|;<>()*?\\") { // ldirectord runs it with a shell
				words = []string{"/bin/sh", "-c", strings.Join(words, " ")}
			}
			n.set(to[0], quoteAll(words), notes{})
		}
		n.set("user", quote("root"), notes{})
	}
	at := slices.IndexFunc(b.items, func(i item) bool { return i.block != nil && i.block.kind == "real_server" })
	if at < 0 {
		at = len(b.items)
	}
	var checks []item
	for _, h := range d.checks(s, s.own["request"], s.own["receive"]) {
		if s.checkable(h) {
			checks = append(checks, item{block: h})
		}
	}
	if len(checks) > 0 {
		d.commentCheck(checks[0].block, s.node.Children)
		checks[0].block.notes.above = append(checks[0].block.notes.above, s.about...)
		checks[0].notes = checks[0].block.notes
	} else {
		d.carried = append(d.carried, s.about...)
	}
	for _, n := range s.node.Children { // what the check has no attribute for
		if at := (commentPlace{n.Position, n.Keyword}); d.comments.reserved[at] {
			delete(d.comments.reserved, at)
			d.leftover(n)
		}
	}
	d.flush(b)
	b.items = slices.Insert(b.items, at, checks...)
}

// fallback writes a sorry server: ADDRESS[:PORT] [gate|masq|ipip].
func (d *ldirectord) fallback(b *block, s *ldService, value string) {
	words := strings.Fields(value)
	host, port := words[0], ""
	if m := ldAddress.FindStringSubmatch(host); m != nil {
		host, port = m[1], m[2]
	}
	a, err := netip.ParseAddr(strings.Trim(host, "[]"))
	if err != nil || a.Is6() != s.ipv6 {
		d.find(s.node.Position, ldVirtual, "fallback", Missing, fmt.Sprintf("Write the address of %s in a sorry_server block.", host))
		return
	}
	forwarding := "dr"
	if len(words) > 1 {
		forwarding = firstOf(ldForwardings[words[1]], "dr")
	}
	to := netip.AddrPortFrom(a, 0)
	if n, ok := ldPort(port, s.protocol); ok && forwarding == "nat" && s.at.mark == 0 {
		to = netip.AddrPortFrom(a, n)
	}
	name := serverLabel(to, s.at.address.Port())
	if s.have[name] {
		d.find(s.node.Position, ldVirtual, "fallback", Missing, fmt.Sprintf("%s is also a real server, and cannot be both.", name))
		return
	}
	head := d.reservedNotes(s.node.Children, "fallback", "fallback6")
	if head.from.Line == 0 {
		head.from = origin{s.node.Position, ldVirtual, s.node.Keyword, nil}
	}
	r := b.add(&block{kind: "sorry_server", label: name, single: true, notes: head})
	if forwarding != s.forwarding {
		r.set("forwarding", quote(forwarding), notes{})
	}
}
