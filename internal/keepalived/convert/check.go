package convert

import (
	"fmt"
	"regexp"
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
var supportedKinds = map[string]bool{"tcp": true, "http": true, "https": true, "script": true}

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

// write adds the timers to a check.
func (t timers) write(b *block) {
	limit := func(d, most time.Duration) time.Duration { return min(max(d, 10*time.Millisecond), most) }
	b.set("interval", duration(limit(t.interval, 24*time.Hour)), notes{})
	b.set("timeout", duration(limit(t.timeout, time.Hour)), notes{})
	b.set("rise", "1", notes{})
	b.set("fall", fmt.Sprint(min(t.retry+1, 1000)), notes{})
	if t.retry > 0 && t.retryInterval != t.interval {
		b.set("retry_interval", duration(limit(t.retryInterval, 24*time.Hour)), notes{})
	}
}

// check converts a checker of a real server.
func (c *converter) check(l *line, b *block, kind string, t timers) {
	if !supportedKinds[kind] {
		l.find(Missing, "lvs-ha has no such check. Without another one, the real server counts as up.")
		return
	}
	if kind == "script" {
		t.timeout = t.interval
	}
	t = t.read(l.Children).of(kind)
	l.find(Same, "")
	head := l.notes()
	urls := []*keepalived.Node{nil}
	if kind == "http" || kind == "https" {
		if urls = l.All("url"); len(urls) == 0 {
			l.find(Ignored, "keepalived ignores it: it has no url.")
			return
		}
	}
	for i, url := range urls {
		h := &block{kind: "health_check", label: kind, notes: head}
		head = notes{}
		if i == 0 {
			c.each(l.Keyword, l.Children, h, func(l2 *line) { c.checkLine(l2, h, l.Node, kind) })
		} else {
			quiet := c.again()
			quiet.each(l.Keyword, l.Children, h, func(l2 *line) { quiet.checkLine(l2, h, l.Node, kind) })
			h.notes = notes{}
		}
		if url != nil {
			host := t.host
			if n := url.Last("virtualhost"); n != nil && len(n.Args) > 0 {
				host = n.Args[0]
			}
			c.url(h, url, host)
		}
		if kind == "https" {
			tls := h.find("tls")
			if tls == nil {
				tls = h.add(&block{kind: "tls", single: true})
			}
			tls.set("skip_verify", "true", notes{})
		}
		t.write(h)
		h.settle()
		b.add(h)
	}
}

func (c *converter) checkLine(l *line, b *block, check *keepalived.Node, kind string) {
	if l.Keyword != "url" && l.superseded(check.Children, l.Keyword) {
		return
	}
	switch l.Keyword {
	case "connect_ip":
		l.find(Same, "")
		l.set(b, "address", quote(l.arg(0)))
	case "connect_port":
		l.count(b, "port", 1, 65535)
	case "bindto", "bind_if", "fwmark":
		name := map[string]string{"bindto": "address", "bind_if": "interface", "fwmark": "mark"}[l.Keyword]
		s := b.find("source")
		if s == nil {
			s = b.add(&block{kind: "source", notes: l.notes()})
		}
		value := quote(l.arg(0))
		if name == "mark" {
			value = l.arg(0)
		}
		l.find(Same, "")
		s.set(name, value, notes{})
	case "misc_path":
		c.miscPath(l, b, check)
	case "misc_dynamic":
		l.find(Same, "")
		b.add(&block{kind: "weight", notes: l.notes()})
	case "user":
		l.user(b)
	case "sni_name":
		l.find(Same, "")
		tls := b.add(&block{kind: "tls", notes: l.notes()})
		tls.set("server_name", quote(l.arg(0)), notes{})
	case "url":
		c.each("url", l.Children, &block{}, func(l2 *line) { c.urlLine(l2) })
	}
}

func (c *converter) miscPath(l *line, b *block, check *keepalived.Node) {
	s, ok := keepalived.ParseScript(l.Text)
	if !ok || len(s.Command) == 0 {
		l.find(Ignored, "keepalived cannot parse it.")
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

// urlLine records the fate of a line of a url block; url writes it.
func (c *converter) urlLine(l *line) {
	switch l.Keyword {
	case "path", "status_code", "virtualhost":
		l.find(Same, "")
	case "regex":
		if _, err := regexp.Compile(l.arg(0)); err != nil {
			l.find(Missing, "The regular expression is not one of RE2: %v.", err)
		} else {
			l.find(Same, "")
		}
	}
}

// url writes a url block into a check.
func (c *converter) url(b *block, url *keepalived.Node, host string) {
	path := "/"
	if n := url.Last("path"); n != nil && len(n.Args) > 0 {
		path = n.Args[0]
	}
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	b.set("path", quote(path), notes{})
	if host != "" {
		b.set("host", quote(host), notes{})
	}
	if n := url.Last("status_code"); n != nil && len(n.Args) > 0 {
		b.set("status", quoteAll(n.Args), notes{})
	}
	if n := url.Last("regex"); n != nil && len(n.Args) > 0 && url.Last("regex_no_match") == nil {
		if _, err := regexp.Compile(n.Args[0]); err == nil {
			b.set("body", quote(n.Args[0]), notes{})
		}
	}
}
