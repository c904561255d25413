package convert

import (
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/keepalived"
)

// greetings are what services that are only greeted must answer.
var greetings = map[string]string{
	"ftp": "^220", "pop": `^\+OK`, "pops": `^\+OK`, "imap": `^\* (OK|PREAUTH)`, "imaps": `^\* (OK|PREAUTH)`, "nntp": "^20[01]",
}

// weaker are the services whose check is less than ldirectord's.
var weaker = map[string]string{
	"ftp":        "The check reads the greeting; it does not log in and fetch a file.",
	"http_proxy": "The check connects; it does not request a page through the proxy.",
	"ldap":       "The check connects; it does not search.",
	"ldaps":      "The check connects; it does not search.",
	"mysql":      "The check connects; it does not run a query.",
	"pgsql":      "The check connects; it does not run a query.",
	"oracle":     "The check connects; it does not run a query.",
	"radius":     "The check sends a ping; it does not ask for access.",
	"sip":        "The check connects, or with UDP sends a ping; it does not ask for OPTIONS.",
}

const useScript = " Use a script check for more."

func (d *ldirectord) checkType(l *line, s *ldService) {
	switch {
	case s.checktype == "off":
		l.find(Equivalent, "ldirectord adds no real servers; here they have weight 0.")
	case s.checktype == "external-perl":
		l.find(Equivalent, "The command runs as a process of its own.")
	case s.ipv6 && (s.checktype == "ping" || s.checktype == "connect" && s.protocol == "udp"):
		l.find(Differs, "ldirectord cannot ping an IPv6 address and keeps the real servers down; here the ping works.")
	case firstDigits(s.checktype) != "":
		l.find(Equivalent, "A tcp check, and the other one less often; both must pass.")
	}
}

// negotiated reports whether the check depends on the service.
func (s *ldService) negotiated() bool {
	return s.checktype == "negotiate" || firstDigits(s.checktype) != ""
}

// serviceWord records the fate of the service that is negotiated with.
func (d *ldirectord) serviceWord(l *line, s *ldService) {
	_, known := ldChoice(l.Keyword, s.service)
	switch {
	case !known:
		l.find(Differs, "ldirectord does not know the service %q and refuses the whole file; the check only connects.%s", s.service, useScript)
	case !s.negotiated():
		l.find(Ignored, "It only affects checktype = negotiate.")
	case weaker[s.service] != "":
		l.find(Differs, "%s", weaker[s.service]+useScript)
	case (s.service == "pop" || s.service == "pops" || s.service == "imap" || s.service == "imaps") && s.own["login"] != "":
		l.find(Differs, "The check reads the greeting; it does not log in."+useScript)
	case s.service == "dns" && s.own["receive"] == "":
		l.find(Differs, "Without receive, ldirectord's check always fails; here an answer is enough.")
	case s.service == "https":
		l.find(Differs, "ldirectord, with the Perl modules of today, wants a trusted certificate, for whatever name; here any is accepted. Delete skip_verify for a certificate that is also for the name. Redirections are not followed.")
	case s.service == "http":
		l.find(Equivalent, "Redirections are not followed: request the page that they lead to.")
	default:
		l.find(Same, "")
	}
}

// content are the services for which ldirectord sends a request or compares what it receives; true: so does the check here.
var content = map[string]map[string]bool{
	"request": {"dns": true, "http": true, "https": true, "simpletcp": true, "ftp": false, "http_proxy": false, "ldap": false, "ldaps": false,
		"mysql": false, "oracle": false, "pgsql": false},
	"receive": {"dns": true, "http": true, "https": true, "simpletcp": true, "ftp": false, "http_proxy": false, "ldap": false, "ldaps": false},
}

// unused records that a request or a response is not in the check.
func (d *ldirectord) unused(l *line, s *ldService) bool {
	kept, used := content[l.Keyword][s.service]
	_, known := ldChoice("service", s.service)
	switch {
	case !s.negotiated():
		l.find(Ignored, "It only affects checktype = negotiate.")
	case kept:
		return false
	case known && !used:
		l.find(Ignored, "ldirectord does not use it with this service.")
	default:
		l.find(Differs, "The check does not use it."+useScript)
	}
	return true
}

func (d *ldirectord) receive(l *line, s *ldService, value string) {
	switch s.service {
	case "http", "https", "simpletcp":
		if _, err := regexp.Compile(value); err != nil {
			l.find(Missing, "The regular expression is not one of RE2: %v.", err)
		} else if strings.EqualFold(s.own["httpmethod"], "HEAD") && s.service != "simpletcp" {
			l.find(Differs, "A response to HEAD has no body, so that ldirectord's check always fails; here the status decides.")
		}
	case "dns":
		l.find(Differs, "The answer must have a record, which is not compared.")
	}
}

// ldChecked are the lines of a section that an attribute of its check comes from; with an empty name, the check itself.
var ldChecked = map[string][]string{
	"": {"checktype", "service"}, "path": {"request"}, "name": {"request"}, "send": {"request"}, "body": {"receive"}, "expect": {"receive"},
	"port": {"checkport"}, "host": {"virtualhost"}, "method": {"httpmethod"}, "command": {"checkcommand"},
	"timeout": {"checktimeout", "negotiatetimeout"}, "interval": {"checkinterval"}, "fall": {"failurecount", "checkcount"},
}

// commentCheck writes the comments of the lines that a check comes from.
func (d *ldirectord) commentCheck(h *block, lines []*keepalived.Node) {
	h.notes = joinNotes(h.notes, d.reservedNotes(lines, ldChecked[""]...))
	for i := range h.items {
		if it := &h.items[i]; it.name != "" {
			it.notes = joinNotes(it.notes, d.reservedNotes(lines, ldChecked[it.name]...))
		}
	}
}

// checks returns the checks of a service or a real server.
func (d *ldirectord) checks(s *ldService, request, receive string) []*block {
	switch s.checktype {
	case "on", "off":
		return nil
	case "ping":
		return []*block{d.timed(s, &block{kind: "health_check", label: "ping"}, false)}
	case "connect":
		return []*block{d.connect(s)}
	case "external", "external-perl":
		return []*block{d.external(s)}
	}
	h := d.negotiate(s, request, receive)
	if n := firstDigits(s.checktype); n != "" && h != nil {
		often := d.connect(s)
		for i := range h.items {
			if h.items[i].name == "interval" {
				h.items[i].value = duration(min(d.interval(s)*time.Duration(1+atLeast(n, 0, 0)), 24*time.Hour))
			}
		}
		return []*block{often, h}
	}
	if h == nil {
		return nil
	}
	return []*block{h}
}

func (d *ldirectord) interval(s *ldService) time.Duration {
	n := atLeast(d.globals["checkinterval"], 1, 10)
	if d.globals["fork"] == "yes" {
		n = atLeast(s.own["checkinterval"], 1, n)
	}
	return min(time.Duration(n)*time.Second, 24*time.Hour)
}

// timed adds the port and the times to a check. checktimeout and negotiatetimeout are defaults for each other.
func (d *ldirectord) timed(s *ldService, h *block, negotiate bool) *block {
	value := func(settings ldSettings, name string) int { return atLeast(settings[name], 1, 0) }
	names, otherwise := []string{"checktimeout", "negotiatetimeout"}, 5
	if negotiate {
		names, otherwise = []string{"negotiatetimeout", "checktimeout"}, 30
	}
	timeout := firstPositive(value(s.own, names[0]), value(s.own, names[1]), value(d.globals, names[0]), value(d.globals, names[1]), otherwise)
	fall := atLeast(d.setting(s, "failurecount"), 1, 1)
	if h.label == "ping" {
		fall *= min(atLeast(d.setting(s, "checkcount"), 1, 1), 1000)
	}
	if port := atLeast(s.own["checkport"], 1, 0); port > 0 && port < 65536 && h.label != "ping" {
		h.set("port", fmt.Sprint(port), notes{})
	} else if s.at.mark != 0 && h.label != "ping" && h.label != "script" {
		if usual := ldUsualPort(s.service); usual != 0 {
			h.set("port", fmt.Sprint(usual), notes{})
		}
	}
	h.set("interval", duration(d.interval(s)), notes{})
	h.set("timeout", duration(min(time.Duration(timeout)*time.Second, time.Hour)), notes{})
	h.set("rise", "1", notes{})
	h.set("fall", fmt.Sprint(min(fall, 1000)), notes{})
	h.settle()
	return h
}

func (d *ldirectord) connect(s *ldService) *block {
	kind := "tcp"
	if s.protocol == "udp" {
		kind = "ping"
	}
	return d.timed(s, &block{kind: "health_check", label: kind}, false)
}

// external runs the command with ldirectord's arguments: the service's address and port, the real server's address and port.
func (d *ldirectord) external(s *ldService) *block {
	h := &block{kind: "health_check", label: "script"}
	address, port := fmt.Sprint(s.at.mark), "0"
	if s.at.mark == 0 {
		address, port = s.at.address.Addr().String(), fmt.Sprint(s.at.address.Port())
	}
	server := `"$LVS_HA_ADDRESS"`
	if s.ipv6 {
		server = `"[$LVS_HA_ADDRESS]"`
		if s.at.mark == 0 {
			address = "[" + address + "]"
		}
	}
	program := `exec "$1"`
	if s.checktype == "external-perl" {
		program = `exec perl "$1"`
	}
	command := firstOf(s.own["checkcommand"], "/bin/true")
	h.set("command", quoteAll([]string{program + ` "$2" "$3" ` + server + ` "$LVS_HA_PORT"`, command, address, port}), notes{})
	h.set("shell", "true", notes{})
	h.set("user", quote("root"), notes{})
	return d.timed(s, h, false)
}

// negotiate returns the check of a service, or nil for none.
func (d *ldirectord) negotiate(s *ldService, request, receive string) *block {
	h := &block{kind: "health_check", label: "tcp"}
	switch s.service {
	case "none":
		return nil
	case "http", "https":
		h.label = s.service
		d.page(h, s, request, receive)
	case "smtp", "submission":
		h.label = "smtp"
	case "dns":
		h.label = "dns"
		d.query(h, s, request)
	case "radius":
		h.label = "ping"
	case "sip":
		if s.protocol == "udp" {
			h.label = "ping"
		}
	case "simpletcp":
		if request = strings.ReplaceAll(strings.TrimPrefix(request, "/"), `\n`, "\n"); request != "" {
			h.set("send", quote(request), notes{})
		}
		if _, err := regexp.Compile(receive); err == nil && receive != "" {
			h.set("expect", quote("(?m)"+receive), notes{})
		}
	default:
		if greeting := greetings[s.service]; greeting != "" {
			h.set("expect", quote(greeting), notes{})
		}
		if s.service == "pops" || s.service == "imaps" {
			h.add(&block{kind: "tls", single: true}).set("skip_verify", "true", notes{})
		}
	}
	return d.timed(s, h, true)
}

// page writes a request for a page. One that is a URL has another address.
func (d *ldirectord) page(h *block, s *ldService, request, receive string) {
	host := s.own["virtualhost"]
	path := "/" + strings.TrimLeft(request, "/")
	if u, err := url.Parse(strings.TrimLeft(request, "/")); err == nil && u.Scheme == s.service && u.Host != "" {
		path = "/" + strings.TrimPrefix(u.RequestURI(), "/")
		if a, err := netip.ParseAddr(u.Hostname()); err == nil {
			h.set("address", quote(a.String()), notes{})
		} else {
			host = firstOf(host, u.Hostname())
		}
		if _, ok := number(u.Port(), 1, 65535); ok {
			h.set("port", u.Port(), notes{})
		}
	}
	h.set("path", quote(escapePath(path)), notes{})
	if host != "" {
		h.set("host", quote(host), notes{})
	}
	if strings.EqualFold(s.own["httpmethod"], "HEAD") {
		h.set("method", quote("HEAD"), notes{})
	} else if _, err := regexp.Compile(receive); err == nil && receive != "" {
		h.set("body", quote(beforeNewline(receive)), notes{})
	}
	if s.service == "https" {
		h.add(&block{kind: "tls", single: true}).set("skip_verify", "true", notes{})
	}
}

// beforeNewline returns an expression whose $ matches before a newline at the end of the text too, as in Perl.
func beforeNewline(expression string) string {
	var b strings.Builder
	class := false
	for i := 0; i < len(expression); i++ {
		switch c := expression[i]; {
		case c == '\\' && i+1 < len(expression):
			b.WriteByte(c)
			i++
		case c == '[':
			class = true
		case c == ']':
			class = false
		case c == '$' && !class:
			b.WriteString(`\n?`)
		}
		b.WriteByte(expression[i])
	}
	return b.String()
}

// query writes a DNS query: for the addresses of a name, or the name of an address.
func (d *ldirectord) query(h *block, s *ldService, request string) {
	name, kind := strings.TrimLeft(request, "/"), "A"
	if a, err := netip.ParseAddr(name); err == nil {
		name, kind = reverse(a), "PTR"
	}
	if name != "" {
		h.set("name", quote(name), notes{})
	}
	h.set("type", quote(kind), notes{})
	h.set("answers", "1", notes{})
	if s.protocol == "tcp" {
		h.set("transport", quote("tcp"), notes{})
	}
}

// reverse returns the name that has an address's PTR record.
func reverse(a netip.Addr) string {
	const hexadecimal = "0123456789abcdef"
	var b strings.Builder
	raw := a.AsSlice()
	for i := len(raw) - 1; i >= 0; i-- {
		if a.Is4() {
			fmt.Fprintf(&b, "%d.", raw[i])
		} else {
			fmt.Fprintf(&b, "%c.%c.", hexadecimal[raw[i]&15], hexadecimal[raw[i]>>4])
		}
	}
	if a.Is4() {
		return b.String() + "in-addr.arpa"
	}
	return b.String() + "ip6.arpa"
}
