package healthcheck

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// What an HTTP check sends and expects where its spec is silent.
const (
	defaultMethod = http.MethodGet
	defaultPath   = "/"
	userAgent     = "lvs-ha"
)

var (
	defaultStatus = []StatusRange{{200, 299}}
	methods       = []string{http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPost}
)

// compileHTTP checks an HTTP or HTTPS check's spec and prepares its request.
func compileHTTP(spec Spec) (*httpCheck, error) {
	var s HTTPSpec
	if spec.HTTP != nil {
		s = *spec.HTTP
	}
	s.Method = orDefault(s.Method, defaultMethod)
	s.Path = orDefault(s.Path, defaultPath)
	if len(s.Status) == 0 {
		s.Status = defaultStatus
	}
	if err := s.check(); err != nil {
		return nil, err
	}
	c := &httpCheck{timeout: spec.Timeout, host: s.Host, status: s.Status, request: &http.Request{Method: s.Method}}
	c.before = s.Method + " " + s.Path + " HTTP/1.1\r\nHost: "
	c.after = "\r\n" + s.headers() + "\r\n"
	if s.Body != "" {
		var err error
		if c.body, err = regexp.Compile(s.Body); err != nil {
			return nil, fmt.Errorf("body: %w", err)
		}
	}
	return c, nil
}

func orDefault(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
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

func (s *HTTPSpec) check() error {
	if !slices.Contains(methods, s.Method) {
		return fmt.Errorf("method %q: use one of %s", s.Method, strings.Join(methods, ", "))
	}
	if s.Path[0] != '/' && (s.Path != "*" || s.Method != http.MethodOptions) {
		return fmt.Errorf("path %q: it must begin with /", s.Path)
	}
	if strings.ContainsFunc(s.Path, notInRequestLine) {
		return fmt.Errorf("path %q: write spaces, control characters and all beyond ASCII as %%XX, and leave out #", s.Path)
	}
	if strings.ContainsFunc(s.Host, notInRequestLine) {
		return fmt.Errorf("host %q: not a host name", s.Host)
	}
	for _, h := range s.Header {
		if err := h.check(); err != nil {
			return err
		}
	}
	for _, r := range s.Status {
		if r.First < 100 || r.Last > 599 || r.First > r.Last {
			return fmt.Errorf("status %d-%d: a range lies within 100-599", r.First, r.Last)
		}
	}
	if s.Body != "" && s.Method == http.MethodHead {
		return fmt.Errorf("body %q: a response to HEAD has none; use GET", s.Body)
	}
	return nil
}

func notInRequestLine(r rune) bool { return r <= ' ' || r >= 0x7f || r == '#' }

// check says what is wrong with a header, without its value.
func (h Header) check() error {
	if h.Name == "" || strings.ContainsFunc(h.Name, notInToken) {
		return fmt.Errorf("header %q: not a header's name", h.Name)
	}
	switch http.CanonicalHeaderKey(h.Name) {
	case "Host":
		return fmt.Errorf("header %s: set host instead", h.Name)
	case "Content-Length", "Transfer-Encoding", "Trailer":
		return fmt.Errorf("header %s: a check sends no body", h.Name)
	}
	if strings.ContainsFunc(h.Value.Reveal(), notInValue) {
		return fmt.Errorf("header %s: its value has control characters", h.Name)
	}
	return nil
}

// notInToken reports what a header's name must not have (RFC 9110 section 5.6.2).
func notInToken(r rune) bool {
	return r <= ' ' || r >= 0x7f || strings.ContainsRune("\"(),/:;<=>?@[\\]{}", r)
}

func notInValue(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }
