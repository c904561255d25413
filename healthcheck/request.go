package healthcheck

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/lvs-ha/lvs-ha/internal/secret"
)

// Request is what an HTTP or HTTPS check sends and what it expects.
type Request struct {
	Method   string        `hcl:"method,optional" default:"GET" oneof:"GET|HEAD|OPTIONS|POST" json:"method"`
	Path     string        `hcl:"path,optional" default:"/" holds:"begins with /" json:"path"` // with the query
	Host     string        `hcl:"host,optional" unset:"the address" json:"host,omitempty"`
	Header   []Header      `hcl:"headers,optional" unset:"none" json:"header,omitempty"`
	Status   []StatusRange `hcl:"status,optional" unset:"[\"200-299\"]" holds:"100 to 599, or ranges as \"200-299\"" json:"status"`   // any of these
	Body     string        `hcl:"body,optional" unset:"none" holds:"a regular expression (RE2), at most 1 KiB" json:"body,omitempty"` // in the first MiB of the body
	Absent   bool          `hcl:"body_absent,optional" default:"false" json:"body_absent,omitempty"`                                  // Body must not match
	First    int           `hcl:"body_min_offset,optional" default:"0" range:"0..1048575" json:"body_min_offset,omitempty"`           // bytes of the body that are not searched
	Last     int           `hcl:"body_max_offset,optional" unset:"none" range:"1..1048575" json:"body_max_offset,omitempty"`          // where a match may begin at most; 0: anywhere
	Digest   string        `hcl:"digest,optional" unset:"none" holds:"an MD5 or SHA-256 sum" json:"digest,omitempty"`                 // of the body, in hexadecimal
	User     string        `hcl:"user,optional" unset:"none" json:"user,omitempty"`                                                   // for basic authentication
	Password secret.Text   `hcl:"password,optional" unset:"none" json:"password,omitempty"`
	Version  string        `hcl:"version,optional" default:"1.1" oneof:"1.1|2" json:"version,omitempty"` // of HTTP
}

// Header is one request header.
type Header struct {
	Name  string      `json:"name"`
	Value secret.Text `json:"value"`
}

// StatusRange is an inclusive range of HTTP status codes, 100..599.
type StatusRange struct {
	First int `json:"first"`
	Last  int `json:"last"`
}

// Parse parses "200" or "200-299".
func (r *StatusRange) Parse(text string) error {
	first, last, isRange := strings.Cut(text, "-")
	if !isRange {
		last = first
	}
	from, err1 := strconv.Atoi(first)
	to, err2 := strconv.Atoi(last)
	if err1 != nil || err2 != nil || !(StatusRange{from, to}).isValid() {
		return fmt.Errorf("%q is not a status from 100 to 599, nor a range of them as \"200-299\"", text)
	}
	r.First, r.Last = from, to
	return nil
}

func (r StatusRange) isValid() bool { return 100 <= r.First && r.First <= r.Last && r.Last <= 599 }

// Defaults of the parameters of an HTTP check.
const (
	defaultMethod = http.MethodGet
	defaultPath   = "/"
	userAgent     = "lvs-ha"
)

func defaultStatus() []StatusRange { return []StatusRange{{200, 299}} }

func defaultRequest() Request {
	return Request{Method: defaultMethod, Path: defaultPath, Status: defaultStatus(), Version: "1.1"}
}

// Reasons of HTTP and HTTPS checks.
const (
	WrongStatus Reason = "status"
	WrongBody   Reason = "body"
)

// Limits of a request: common servers refuse a request line or a header beyond 8 KiB.
const (
	maxPath    = 8 << 10  // bytes
	maxHeaders = 32 << 10 // bytes, of all header lines
)

var methods = []string{http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPost}

// withDefaults returns the request with defaults in place of empty fields.
func (s Request) withDefaults() Request {
	s.Method = cmp.Or(s.Method, defaultMethod)
	s.Path = cmp.Or(s.Path, defaultPath)
	if s.Status == nil {
		s.Status = defaultStatus()
	}
	return s
}

// compile prepares the request.
func (s Request) compile(setup Setup) (*httpCheck, error) {
	s = s.withDefaults()
	c := &httpCheck{timeout: setup.Timeout, source: setup.Source, weight: setup.Weight, host: s.Host, status: s.Status, method: s.Method}
	c.before = s.Method + " " + s.Path + " HTTP/1.1\r\nHost: "
	c.after = "\r\n" + s.headers() + "\r\n"
	if c.two = s.Version == "2"; c.two {
		c.path, c.fields = s.Path, s.fieldsOf()
	}
	if s.Digest != "" {
		var err error
		if c.digest, err = parseDigest(s.Digest); err != nil {
			return nil, fmt.Errorf("digest: %w", err)
		}
	}
	if s.Body != "" {
		var err error
		if c.body, err = newBodyMatch(s.Body); err != nil {
			return nil, fmt.Errorf("body: %w", err)
		}
		c.body.first, c.body.last = s.First, s.Last
		c.absent = s.Absent
	}
	return c, nil
}

func (s *Request) appendIdentity(b []byte) []byte {
	for _, text := range []string{s.Method, s.Path, s.Host, s.Body, s.Digest, s.User, s.Password.Reveal(), s.Version} {
		b = appendText(b, text)
	}
	absent := 0
	if s.Absent {
		absent = 1
	}
	b = appendInts(b, len(s.Header), len(s.Status), absent, s.First, s.Last)
	for _, h := range s.Header {
		b = appendText(appendText(b, h.Name), h.Value.Reveal())
	}
	for _, r := range s.Status {
		b = appendInts(b, r.First, r.Last)
	}
	return b
}

func (s Request) redacted() Request {
	s.Header = slices.Clone(s.Header)
	for i := range s.Header {
		if s.Header[i].Value != "" {
			s.Header[i].Value = secret.Hidden
		}
	}
	if s.Password != "" {
		s.Password = secret.Hidden
	}
	return s
}

// headers returns the request's header lines after Host.
func (s *Request) headers() string {
	var b strings.Builder
	add := func(name, value string) {
		b.WriteString(name + ": " + value + "\r\n")
	}
	for _, h := range s.Header {
		add(h.Name, h.Value.Reveal())
	}
	if s.User != "" {
		add("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(s.User+":"+s.Password.Reveal())))
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

func (s *Request) has(name string) bool {
	return slices.ContainsFunc(s.Header, func(h Header) bool { return strings.EqualFold(h.Name, name) })
}

func (s Request) faults() []Fault {
	s = s.withDefaults()
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
	faults = append(faults, s.optionFaults()...)
	if len(s.Status) == 0 {
		faults = append(faults, fault("status", "The list is empty. Remove it to accept 200 to 299."))
	}
	for i, r := range s.Status {
		if !r.isValid() {
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

// optionFaults lists the errors in the digest, the authentication and the version.
func (s *Request) optionFaults() []Fault {
	var faults []Fault
	if s.Absent && s.Body == "" {
		faults = append(faults, fault("body_absent", "It requires body, which must not match."))
	}
	for i, offset := range []int{s.First, s.Last} {
		setting := []string{"body_min_offset", "body_max_offset"}[i]
		switch {
		case offset < 0 || offset >= maxBody:
			faults = append(faults, fault(setting, "It must be at least 0 and less than %d, since the first MiB of the body is searched.", maxBody))
		case offset != 0 && s.Body == "":
			faults = append(faults, fault(setting, "It requires body, which is searched for."))
		}
	}
	if s.Last != 0 && s.Last < s.First {
		faults = append(faults, fault("body_max_offset", "It is below body_min_offset (%d): nothing can match.", s.First))
	}
	if _, err := parseDigest(s.Digest); s.Digest != "" && err != nil {
		faults = append(faults, fault("digest", "%s is not a sum of 32 (MD5) or 64 (SHA-256) hexadecimal digits, as \"curl -s http://192.0.2.11/ | sha256sum\" prints.", quote(s.Digest)))
	}
	if s.Digest != "" && s.Method == http.MethodHead {
		faults = append(faults, fault("digest", "A response to HEAD has no body. Write method = \"GET\"."))
	}
	switch {
	case s.Password != "" && s.User == "":
		faults = append(faults, fault("password", "A password requires a user."))
	case strings.ContainsFunc(s.User, notInValue) || strings.Contains(s.User, ":"):
		faults = append(faults, fault("user", "A user name cannot contain colons or control characters."))
	case s.User != "" && s.has("Authorization"):
		faults = append(faults, fault("user", "headers already has Authorization. Remove one of them."))
	}
	if s.Version != "" && s.Version != "1.1" && s.Version != "2" {
		faults = append(faults, fault("version", "%s is not a version of HTTP. Write \"1.1\" or \"2\".", quote(s.Version)))
	}
	return faults
}

func (s *Request) pathFaults() []Fault {
	switch p := s.Path; {
	case p == "*" && s.Method == http.MethodOptions:
		return nil
	case len(p) > maxPath:
		return []Fault{fault("path", "The path has %d bytes, at most %d are allowed.", len(p), maxPath)}
	case p[0] != '/':
		return []Fault{fault("path", "%s does not begin with \"/\". Write the URL without a scheme and a host, as \"/healthz\".", quote(p))}
	case strings.Contains(p, "#"):
		return []Fault{fault("path", "%s has a fragment, which is not sent to servers. Write \"%%23\" for \"#\", or remove it.", quote(p))}
	default:
		if escapes := pathEscapes(p); len(escapes) > 0 {
			return []Fault{fault("path", "%s has characters that must be percent-encoded. Write %s.", quote(p), strings.Join(escapes, ", "))}
		}
	}
	return nil
}

// pathEscapes returns the escape sequences for the first characters that are not allowed in a request line, and for a "%"
// that does not begin an escape sequence. It does not return the escaped path: a secret in it would not be recognised and
// hidden.
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

// isHost reports whether a text is a name or an address, with or without a port, as in a Host header (RFC 9110 section 7.2).
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

func (s *Request) headerFaults() []Fault {
	var faults []Fault
	size := 0
	for i, h := range s.Header {
		size += len(h.Name) + len(h.Value) + len(": \r\n")
		if text := h.fault(); text != "" {
			faults = append(faults, Fault{Setting: "headers", Item: i, Text: text})
		}
	}
	if size > maxHeaders {
		faults = append(faults, fault("headers", "The headers have %d bytes in total, at most %d are allowed.", size, maxHeaders))
	}
	return faults
}

// fault describes what is wrong with a header, without its value.
func (h Header) fault() string {
	if h.Name == "" || strings.ContainsFunc(h.Name, notInToken) {
		return quote(h.Name) + " is not the name of a header."
	}
	value := h.Value.Reveal()
	switch http.CanonicalHeaderKey(h.Name) {
	case "Host":
		return "Remove " + h.Name + " and set host instead."
	case "Content-Length", "Transfer-Encoding", "Trailer", "Expect":
		return "Remove " + h.Name + ": a check sends no body."
	case "Connection":
		if strings.Contains(strings.ToLower(value), "keep-alive") {
			return "Remove " + h.Name + ": each check has its own connection and asks the server to close it."
		}
	}
	if strings.ContainsFunc(value, notInValue) {
		return "The value of " + h.Name + " has control characters."
	}
	return ""
}

// notInToken reports whether a character is not allowed in a header's name (RFC 9110 section 5.6.2).
func notInToken(r rune) bool {
	return r <= ' ' || r >= 0x7f || strings.ContainsRune("\"(),/:;<=>?@[\\]{}", r)
}

func notInValue(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }
