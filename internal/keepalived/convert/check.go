package convert

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/keepalived"
)

// checkKinds are the kinds of health_check for keepalived's checkers.
var checkKinds = map[string]string{
	"TCP_CHECK": "tcp", "HTTP_GET": "http", "SSL_GET": "https", "MISC_CHECK": "script",
	"SMTP_CHECK": "smtp", "DNS_CHECK": "dns", "UDP_CHECK": "udp", "PING_CHECK": "ping", "FILE_CHECK": "file",
}

// supportedKinds are the kinds that lvs-ha has.
var supportedKinds = map[string]bool{
	"tcp": true, "http": true, "https": true, "script": true, "smtp": true, "dns": true, "udp": true, "ping": true, "file": true,
}

// keepalived's defaults for a kind; others retry once, after a second.
func (t timers) of(kind string) timers {
	retry, pause := 1, time.Second
	switch kind {
	case "http", "https":
		pause = 3 * time.Second
	case "script":
		retry = 0
	case "dns":
		retry, pause = 3, t.interval
	}
	if t.retry < 0 {
		t.retry = retry
	}
	if t.retryInterval < 0 {
		t.retryInterval = pause
	}
	if t.retryInterval == 0 {
		t.retryInterval = t.interval
	}
	return t
}

var timing = []string{"delay_loop", "connect_timeout", "misc_timeout", "retry", "nb_get_retry", "delay_before_retry"}

// write adds the timers to a check whose own lines are given.
func (t timers) write(c *converter, b *block, lines []*keepalived.Node) {
	limit := func(d, most time.Duration) time.Duration { return min(max(d, 10*time.Millisecond), most) }
	// An interval that is the same is not written, unless its line has a comment.
	retries := t.retry > 0 && (t.retryInterval != t.interval || c.commented(lines, "delay_before_retry"))
	words := []string{"delay_loop"}
	if !retries {
		words = append(words, "delay_before_retry")
	}
	b.set("interval", duration(limit(t.interval, 24*time.Hour)), c.reservedNotes(lines, words...))
	b.set("timeout", duration(limit(t.timeout, time.Hour)), c.reservedNotes(lines, "connect_timeout", "misc_timeout"))
	b.set("rise", "1", notes{})
	b.set("fall", fmt.Sprint(min(t.retry+1, 1000)), c.reservedNotes(lines, "retry", "nb_get_retry"))
	if retries {
		b.set("retry_interval", duration(limit(t.retryInterval, 24*time.Hour)), c.reservedNotes(lines, "delay_before_retry"))
	}
	if t.port != 0 && b.get("port") == "" && b.label != "ping" && b.label != "script" {
		b.set("port", fmt.Sprint(t.port), notes{})
	}
}

// check converts a checker of a real server.
func (c *converter) check(l *line, b *block, kind string, t timers) {
	if !supportedKinds[kind] {
		l.find(Missing, "lvs-ha has no such check. Without another one, the real server counts as up.")
		return
	}
	if kind == "file" {
		c.fileCheck(l, b, t)
		return
	}
	if kind == "script" {
		path := l.Last("misc_path")
		if path == nil || !hasCommand(path) {
			l.doubt(Ignored, "keepalived ignores it: it has no misc_path.")
			return
		}
		t.timeout = t.interval
	}
	t = t.read(l.Children, false).of(kind)
	parts := []*keepalived.Node{nil}
	switch kind {
	case "http", "https":
		if parts = l.All("url"); len(parts) == 0 {
			l.doubt(Ignored, "keepalived ignores it: it has no url.")
			return
		}
	case "smtp":
		if hosts := l.All("host"); len(hosts) > 0 && slices.ContainsFunc(l.Children, connects) {
			parts = append(parts, hosts...)
		} else if len(hosts) > 0 {
			parts = hosts
		}
	}
	l.find(Same, "")
	head := l.notes()
	for i, part := range parts {
		h := &block{kind: "health_check", label: kind, notes: head}
		with := c
		if i > 0 {
			with = c.again()
		}
		with.reserve(l.Children, timing...)
		with.reserve(l.Children, "url", "host")
		with.each(l.Keyword, l.Children, h, func(l2 *line) { with.checkLine(l2, h, l.Node, kind) })
		if i > 0 {
			h.notes = notes{}
		}
		head = notes{}
		t.part(with, h, part).write(with, h, l.Children)
		switch kind {
		case "https":
			tls := h.find("tls")
			if tls == nil {
				tls = h.add(&block{kind: "tls", single: true})
			}
			tls.set("skip_verify", "true", notes{})
			c.identity(tls)
		case "udp":
			udpReply(h, l.Node)
		}
		h.settle()
		b.add(h)
	}
}

// connects reports whether a line of an SMTP_CHECK makes keepalived check the real server itself beside the hosts.
func connects(n *keepalived.Node) bool {
	return slices.Contains([]string{"connect_ip", "connect_port", "bindto", "bind_port", "bind_if", "fwmark", "connect_timeout"}, n.Keyword)
}

// identity writes the client certificate that an SSL block gives to all checks.
func (c *converter) identity(tls *block) {
	for _, n := range c.source.Nodes {
		if n.Keyword != "SSL" {
			continue
		}
		if file := n.Last("certificate"); file != nil && len(file.Args) > 0 {
			tls.set("cert_file", quote(file.Args[0]), notes{})
			if key := n.Last("key"); key != nil && len(key.Args) > 0 {
				tls.set("key_file", quote(key.Args[0]), notes{})
			}
		}
		tls.settle()
	}
}

// part writes the url or host block that a check is for, and returns the timers with what a host overrides.
func (t timers) part(c *converter, h *block, part *keepalived.Node) timers {
	switch {
	case part == nil:
	case part.Keyword == "url":
		host := t.host
		if n := part.Last("virtualhost"); n != nil && len(n.Args) > 0 {
			host = n.Args[0]
		}
		c.url(h, part, host)
	default:
		h.items = slices.DeleteFunc(h.items, func(i item) bool { // those of the check are for the real server itself
			return i.name == "address" || i.name == "port" || i.block != nil && i.block.kind == "source"
		})
		h.notes = joinNotes(h.notes, c.reservedNotes([]*keepalived.Node{part}, "host"))
		c.each("host", part.Children, h, func(l *line) { c.checkLine(l, h, part, "smtp") })
		return t.read(part.Children, false)
	}
	return t
}

func (c *converter) checkLine(l *line, b *block, check *keepalived.Node, kind string) {
	if l.Keyword != "url" && l.Keyword != "host" && l.superseded(check.Children, l.Keyword) {
		return
	}
	switch l.Keyword {
	case "connect_ip":
		if a, ok := address(l.arg(0)); ok {
			if !l.cut(l.arg(0), a) {
				l.find(Same, "")
			}
			l.set(b, "address", quote(a.String()))
		} else {
			l.doubt(Ignored, "%q is not an address.", l.arg(0))
		}
	case "connect_port":
		if n, ok := l.lenient(l.arg(0), 1, 65535); !ok {
			l.doubt(Ignored, "%q is not a port.", l.arg(0))
		} else {
			if !l.told {
				l.find(Same, "")
			}
			l.set(b, "port", fmt.Sprint(n))
		}
	case "bindto", "bind_if", "fwmark":
		if fault := sourceFault(l); fault != "" {
			l.doubt(Ignored, "%s", fault)
			return
		}
		name := map[string]string{"bindto": "address", "bind_if": "interface", "fwmark": "mark"}[l.Keyword]
		s, head := b.find("source"), notes{}
		if s == nil {
			s = b.add(&block{kind: "source", notes: l.notes()})
		} else {
			head = l.notes()
		}
		value := quote(l.arg(0))
		switch a, _ := address(l.arg(0)); {
		case name == "mark":
			mark, _ := l.lenient(l.arg(0), 1, 1<<32-1)
			value = fmt.Sprint(mark)
		case name == "address" && l.cut(l.arg(0), a):
			value = quote(a.String())
		}
		if !l.told {
			l.find(Same, "")
		}
		s.set(name, value, head)
	case "misc_path":
		c.miscPath(l, b, check)
	case "misc_dynamic":
		l.find(Same, "")
		b.add(&block{kind: "weight", notes: l.notes()})
	case "user":
		l.user(b)
	case "sni_name":
		if kind != "https" {
			l.find(Ignored, "HTTP_GET has no TLS.")
			return
		}
		l.find(Same, "")
		tls := b.add(&block{kind: "tls", notes: l.notes()})
		tls.set("server_name", quote(l.arg(0)), notes{})
	case "name", "type":
		c.dnsQuery(l, b)
	case "helo_name":
		if l.arg(0) == "" {
			l.doubt(Ignored, "It has no value.")
			return
		}
		l.set(b, "helo", quote(l.helo()))
	case "payload":
		if text := strings.Join(l.Args, " "); hexBytes.MatchString(text) && !strings.ContainsAny(text, "xX") {
			l.find(Same, "")
			l.set(b, "send_hex", quote(text))
		} else {
			l.doubt(Ignored, "%q is not hexadecimal.", text)
		}
	case "require_reply":
		if text := strings.Join(l.Args, " "); text != "" && !hexBytes.MatchString(text) {
			l.doubt(Ignored, "%q is not hexadecimal.", text)
		}
	case "url":
		for _, n := range l.Children {
			if l2 := (&line{Node: n, parent: "url", c: c}); n.Keyword != "" {
				c.urlLine(l2, l.Node)
				l2.byTable()
			}
		}
	}
}

// helo returns the argument of HELO. An address is written as RFC 5321 requires it.
func (l *line) helo() string {
	a, err := netip.ParseAddr(l.arg(0))
	if err != nil {
		l.find(Same, "")
		return l.arg(0)
	}
	l.find(Equivalent, "An address is sent in brackets, as RFC 5321 requires it.")
	if a.Is6() {
		return "[IPv6:" + a.String() + "]"
	}
	return "[" + a.String() + "]"
}

func (c *converter) dnsQuery(l *line, b *block) {
	kind := strings.ToUpper(l.arg(0))
	switch {
	case l.arg(0) == "":
		l.doubt(Ignored, "It has no value.")
	case l.Keyword == "name":
		l.find(Same, "")
		l.set(b, "name", quote(l.arg(0)))
	case kind == "RRSIG" || kind == "DNSKEY":
		l.find(Differs, "lvs-ha asks for the SOA record instead.")
	case !slices.Contains([]string{"A", "NS", "CNAME", "SOA", "MX", "TXT", "AAAA"}, kind):
		l.doubt(Ignored, "keepalived does not know the type %q.", l.arg(0))
	default:
		l.find(Same, "")
		l.set(b, "type", quote(kind))
	}
}

// udpReply writes what an answer to a datagram must look like.
func udpReply(b *block, check *keepalived.Node) {
	required := check.Last("require_reply")
	if required == nil {
		return
	}
	lowest, highest := 0, 255
	if n := check.Last("min_reply_length"); n != nil && len(n.Args) > 0 {
		lowest, _ = number(n.Args[0], 0, 255)
	}
	if n := check.Last("max_reply_length"); n != nil && len(n.Args) > 0 {
		if most, ok := number(n.Args[0], lowest, 255); ok {
			highest = most
		}
	}
	if hexBytes.MatchString(strings.Join(required.Args, " ")) {
		b.set("expect_hex", quote(strings.Join(required.Args, " ")), notes{})
		return
	}
	b.set("expect", quote(fmt.Sprintf("(?s)^.{%d,%d}$", lowest, highest)), notes{})
}

func (c *converter) miscPath(l *line, b *block, check *keepalived.Node) {
	s, ok := keepalived.ParseScript(l.Text)
	if !ok || len(s.Command) == 0 {
		l.doubt(Ignored, "keepalived cannot parse it.")
		return
	}
	c.command(l, b, "command", s)
	if len(s.Rest) > 0 {
		l.find(Ignored, "keepalived uses only the first word as the command; quote a command with arguments.")
	}
	if check.Last("user") == nil {
		c.defaultUser(b)
	}
}

var (
	hexBytes = regexp.MustCompile(`^([0-9A-Fa-fxX]{2} *)+$`)
	hostName = regexp.MustCompile(`^([A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?\.?)+(:[0-9]+)?$`)
)

func hasCommand(n *keepalived.Node) bool {
	s, ok := keepalived.ParseScript(n.Text)
	return ok && len(s.Command) > 0
}

// sourceFault says why keepalived ignores a line about the source of a check.
func sourceFault(l *line) string {
	value := l.arg(0)
	switch l.Keyword {
	case "bindto":
		if _, ok := address(value); !ok {
			return fmt.Sprintf("%q is not an address.", value)
		}
	case "bind_if":
		if value == "" || len(value) > maxInterface || strings.ContainsAny(value, "/: \"") {
			return fmt.Sprintf("%q is not the name of an interface.", value)
		}
	case "fwmark":
		if _, ok := loose(value, 1, 1<<32-1); !ok {
			return fmt.Sprintf("%q is not a firewall mark.", value)
		}
	}
	return ""
}

// statusCodes returns the codes and ranges of codes, or nil if one of them is none.
func statusCodes(words []string) []string {
	if len(words) == 0 {
		return nil
	}
	for _, w := range words {
		first, last, _ := strings.Cut(w, "-")
		if last == "" {
			last = first
		}
		lowest, ok := number(first, 100, 599)
		if _, in := number(last, max(lowest, 100), 599); !ok || !in {
			return nil
		}
	}
	return words
}
