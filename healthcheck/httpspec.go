package healthcheck

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// What an HTTP check sends and expects where its spec is silent.
const (
	defaultMethod = http.MethodGet
	defaultPath   = "/"
	userAgent     = "lvs-ha"
)

// Limits of a request: common servers refuse a request line or a header beyond 8 KiB.
const (
	maxPath    = 8 << 10  // bytes
	maxHeaders = 32 << 10 // bytes, of all header lines
)

var (
	defaultStatus = []StatusRange{{200, 299}}
	methods       = []string{http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPost}
)

// withDefaults is what an HTTP or HTTPS check's spec says of HTTP.
func (s Spec) withDefaults() HTTPSpec {
	var h HTTPSpec
	if s.HTTP != nil {
		h = *s.HTTP
	}
	if h.Method == "" {
		h.Method = defaultMethod
	}
	if h.Path == "" {
		h.Path = defaultPath
	}
	if len(h.Status) == 0 {
		h.Status = defaultStatus
	}
	return h
}

// compileHTTP prepares an HTTP or HTTPS check's request.
func compileHTTP(spec Spec) (*httpCheck, error) {
	s := spec.withDefaults()
	c := &httpCheck{timeout: spec.Timeout, host: s.Host, status: s.Status, method: s.Method}
	c.before = s.Method + " " + s.Path + " HTTP/1.1\r\nHost: "
	c.after = "\r\n" + s.headers() + "\r\n"
	if s.Body != "" {
		var err error
		if c.body, err = newBodyMatch(s.Body); err != nil {
			return nil, fmt.Errorf("body: %w", err)
		}
	}
	return c, nil
}

// headers are the request's header lines after Host.
func (s *HTTPSpec) headers() string {
	var b strings.Builder
	add := func(name, value string) {
		b.WriteString(name + ": " + value + "\r\n")
	}
	for _, h := range s.Header {
		add(h.Name, h.Value.Reveal())
	}
	if !s.has("User-Agent") {
		add("User-Agent", userAgent)
	}
	if !s.has("Connection") {
		add("Connection", "close")
	}
	if s.Method == http.MethodPost {
		add("Content-Length", "0")
	}
	return b.String()
}

func (s *HTTPSpec) has(name string) bool {
	return slices.ContainsFunc(s.Header, func(h Header) bool { return strings.EqualFold(h.Name, name) })
}

func httpFaults(spec Spec) []Fault {
	s := spec.withDefaults()
	var faults []Fault
	if !slices.Contains(methods, s.Method) {
		faults = append(faults, fault("method", "%s is not a method of checks. Write one of %s.", quote(s.Method), strings.Join(methods, ", ")))
	}
	faults = append(faults, s.pathFaults()...)
	if s.Host != "" && !isHost(s.Host) {
		faults = append(faults, fault("host", "%s is not a host. Write a name or an address, as \"www.example.com\", without a scheme or a path; "+
			"international names in their ASCII form, as \"xn--bcher-kva.example\".", quote(s.Host)))
	}
	faults = append(faults, s.headerFaults()...)
	for i, r := range s.Status {
		if r.First < 100 || r.Last > 599 || r.First > r.Last {
			f := fault("status", "%d-%d is not a range of status codes. Write one within 100-599.", r.First, r.Last)
			f.Item = i
			faults = append(faults, f)
		}
	}
	if s.Body != "" {
		faults = append(faults, bodyFaults(s.Body)...)
		if s.Method == http.MethodHead {
			faults = append(faults, fault("body", "A response to HEAD has no body. Write method = \"GET\"."))
		}
	}
	return faults
}

func (s *HTTPSpec) pathFaults() []Fault {
	switch p := s.Path; {
	case p == "*" && s.Method == http.MethodOptions:
		return nil
	case len(p) > maxPath:
		return []Fault{fault("path", "The path has %d bytes. A request holds at most %d.", len(p), maxPath)}
	case p[0] != '/':
		return []Fault{fault("path", "%s does not begin with \"/\". Write the URL without a scheme and a host, as \"/healthz\".", quote(p))}
	case strings.Contains(p, "#"):
		return []Fault{fault("path", "%s has a fragment, which is not sent to servers. Write \"%%23\" for \"#\", or leave it out.", quote(p))}
	default:
		if escapes := pathEscapes(p); len(escapes) > 0 {
			return []Fault{fault("path", "%s has characters that must be percent-encoded. Write %s.", quote(p), strings.Join(escapes, ", "))}
		}
	}
	return nil
}

// pathEscapes says what to write for the first characters that a request line cannot have, and for a "%" that begins no
// escape sequence. It does not show the path with them, in which nobody would recognise a secret to be hidden.
func pathEscapes(p string) []string {
	var escapes []string
	for i := range p {
		c := p[i]
		bad := c <= ' ' || c >= 0x7f || strings.IndexByte("\"<>\\^`{|}", c) >= 0 || c == '%' && !(i+2 < len(p) && isHex(p[i+1]) && isHex(p[i+2]))
		if !bad {
			continue
		}
		_, size := utf8.DecodeRuneInString(p[i:])
		var escaped strings.Builder
		for j := range size {
			fmt.Fprintf(&escaped, "%%%02X", p[i+j])
		}
		escape := fmt.Sprintf("%q for %q", escaped.String(), p[i:i+size])
		if !slices.Contains(escapes, escape) {
			escapes = append(escapes, escape)
		}
		if len(escapes) == 3 {
			break
		}
	}
	return escapes
}

func isHex(c byte) bool { return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f' }

// isHost reports whether a text is a name or an address, with or without a port: a Host header (RFC 9110 section 7.2).
func isHost(s string) bool {
	name, port, err := net.SplitHostPort(s)
	if err == nil {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return false
		}
	} else {
		name = s
		if bare, ok := strings.CutPrefix(s, "["); ok {
			name = strings.TrimSuffix(bare, "]")
		}
	}
	if ip, err := netip.ParseAddr(name); err == nil && ip.Is6() {
		return ip.Zone() == "" && s[0] == '['
	}
	return s[0] != '[' && isHostName(name)
}

func (s *HTTPSpec) headerFaults() []Fault {
	var faults []Fault
	size := 0
	for i, h := range s.Header {
		size += len(h.Name) + len(h.Value) + len(": \r\n")
		if text := h.fault(); text != "" {
			faults = append(faults, Fault{Setting: "headers", Item: i, Text: text})
		}
	}
	if size > maxHeaders {
		faults = append(faults, fault("headers", "The headers have %d bytes together. A request holds at most %d.", size, maxHeaders))
	}
	return faults
}

// fault says what is wrong with a header, without its value.
func (h Header) fault() string {
	if h.Name == "" || strings.ContainsFunc(h.Name, notInToken) {
		return quote(h.Name) + " is not the name of a header."
	}
	value := h.Value.Reveal()
	switch http.CanonicalHeaderKey(h.Name) {
	case "Host":
		return "Leave " + h.Name + " out and set host instead."
	case "Content-Length", "Transfer-Encoding", "Trailer", "Expect":
		return "Leave " + h.Name + " out: a check sends no body."
	case "Connection":
		if strings.Contains(strings.ToLower(value), "keep-alive") {
			return "Leave " + h.Name + " out: every check is a connection of its own, and asks the server to close it."
		}
	}
	if strings.ContainsFunc(value, notInValue) {
		return "The value of " + h.Name + " has control characters."
	}
	return ""
}

// notInToken reports what a header's name must not have (RFC 9110 section 5.6.2).
func notInToken(r rune) bool {
	return r <= ' ' || r >= 0x7f || strings.ContainsRune("\"(),/:;<=>?@[\\]{}", r)
}

func notInValue(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }
