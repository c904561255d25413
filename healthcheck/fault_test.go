package healthcheck

import (
	"bufio"
	"fmt"
	"net/http"
	"net/netip"
	"regexp/syntax"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/lvs-ha/lvs-ha/internal/secret"
)

const hidden = "c2VjcmV0"

// faultCase is a change to a valid spec, and the fault that it causes.
type faultCase struct {
	change  func(*HTTPS)
	setting string // "": no fault
	item    int
	write   string // part of the text
}

func faultCases() []faultCase {
	header := func(name, value string) func(*HTTPS) {
		return func(s *HTTPS) { s.Header = []Header{{"X-Good", "x"}, {name, secret.Text(value)}} }
	}
	path := func(p string) func(*HTTPS) { return func(s *HTTPS) { s.Path = p } }
	host := func(h string) func(*HTTPS) { return func(s *HTTPS) { s.Host = h } }
	status := func(first, last int) func(*HTTPS) {
		return func(s *HTTPS) { s.Status = []StatusRange{{200, 200}, {first, last}} }
	}
	body := func(b string) func(*HTTPS) { return func(s *HTTPS) { s.Body = b } }
	name := func(n string) func(*HTTPS) { return func(s *HTTPS) { s.TLS = &TLS{ServerName: n} } }
	return []faultCase{
		{func(s *HTTPS) { *s = HTTPS{} }, "", 0, ""},
		{func(s *HTTPS) { s.Status = []StatusRange{} }, "status", 0, "200 to 299"},
		{func(s *HTTPS) { s.Method = "BREW" }, "method", 0, "GET"},
		{path("index"), "path", 0, `"/healthz"`},
		{path("*"), "path", 0, ""},
		{func(s *HTTPS) { s.Method, s.Path = "OPTIONS", "*" }, "", 0, ""},
		{path("/a b"), "path", 0, `Write "%20" for " ".`},
		{path("/gesundü"), "path", 0, `Write "%C3%BC" for "ü".`},
		{path("/50%"), "path", 0, `Write "%25" for "%".`},
		{path("/%zz%41"), "path", 0, `Write "%25" for "%".`},
		{path("/a#b"), "path", 0, "%23"},
		{path("/\r\nX: y"), "path", 0, `"%0D" for "\r"`},
		{path("/" + strings.Repeat("x", maxPath)), "path", 0, ""},
		{path("/a/b;c=1?d=e%20f&g=[1]&h=a+b"), "", 0, ""},
		{host("a\r\nX: y"), "host", 0, ""},
		{host("http://www.example.com/"), "host", 0, ""},
		{host("www.bücher.example"), "host", 0, "xn--"},
		{host("a..b"), "host", 0, ""},
		{host("www.example.com:0"), "host", 0, ""},
		{host("2001:db8::1"), "host", 0, ""},
		{host("[www.example.com]"), "host", 0, ""},
		{host("[fe80::1%eth0]"), "host", 0, ""},
		{host("[2001:db8::1]"), "", 0, ""},
		{host("[2001:db8::1]:8080"), "", 0, ""},
		{host("192.0.2.1:8080"), "", 0, ""},
		{host("www.example.com."), "", 0, ""},
		{host("under_score:80"), "", 0, ""},
		{status(99, 200), "status", 1, ""},
		{status(200, 600), "status", 1, ""},
		{status(300, 200), "status", 1, ""},
		{header("", hidden), "headers", 1, ""},
		{header("a:b", hidden), "headers", 1, `"a:b"`},
		{header("gesundü", hidden), "headers", 1, ""},
		{header("host", hidden), "headers", 1, "set host"},
		{header("content-length", hidden), "headers", 1, "content-length"},
		{header("Transfer-Encoding", hidden), "headers", 1, ""},
		{header("Expect", "100-continue"), "headers", 1, ""},
		{header("Connection", "Keep-Alive"), "headers", 1, ""},
		{header("Connection", "Upgrade"), "", 0, ""},
		{header("Authorization", hidden+"\r\nX: y"), "headers", 1, "Authorization"},
		{header("X-Long", strings.Repeat("x", maxHeaders)), "headers", 0, ""},
		{body("("), "body", 0, "missing closing )"},
		{body(strings.Repeat("x", maxExpression+1)), "body", 0, ""},
		{body("x{1000}y{1000}z{1000}"), "body", 0, "smaller counts"},
		{body(".{0,1000}x"), "", 0, ""},
		{func(s *HTTPS) { s.Method, s.Body = "HEAD", "x" }, "body", 0, "GET"},
		{func(s *HTTPS) { s.Body, s.First, s.Last = "x", 7, 7 }, "", 0, ""},
		{func(s *HTTPS) { s.Body, s.First, s.Last = "x", 7, 6 }, "body_max_offset", 0, "body_min_offset"},
		{func(s *HTTPS) { s.Body, s.First = "x", 1<<20 }, "body_min_offset", 0, "MiB"},
		{func(s *HTTPS) { s.Last = 1 }, "body_max_offset", 0, "body"},
		{name("www.example.com"), "", 0, ""},
		{name("192.0.2.1"), "", 0, ""},
		{name("2001:db8::1"), "", 0, ""},
		{name("www.example.com:443"), "tls.server_name", 0, ""},
		{name("bücher.example"), "tls.server_name", 0, "xn--"},
	}
}

func TestFaultsOfTheKind(t *testing.T) {
	for _, spec := range []Spec{{}, {Check: unregistered{}}} {
		faults := spec.Faults()
		if len(faults) != 1 || faults[0].Setting != "kind" || !strings.Contains(faults[0].Text, "grpc, http, https, ping, script, smtp, tcp, udp") {
			t.Errorf("%v: %v", spec.Kind(), faults)
		}
		if _, err := NewProbe(spec); err == nil {
			t.Errorf("%v: a probe was made", spec.Kind())
		}
	}
}

// unregistered has a kind that is not in Kinds.
type unregistered struct{ *TCP }

func (unregistered) Kind() Kind { return "telnet" }

func TestFaults(t *testing.T) {
	for _, c := range faultCases() {
		check := &HTTPS{}
		c.change(check)
		spec := Spec{Check: check}
		faults := spec.Faults()
		if said := fmt.Sprint(faults); strings.Contains(said, hidden) || len(said) > 400 {
			t.Errorf("%d bytes, or the secret is in them: %s", len(said), said)
		}
		if _, err := NewProbe(spec); (err == nil) != (len(faults) == 0) {
			t.Errorf("%v, but the constructor says %v", faults, err)
		}
		if c.setting == "" && len(faults) == 0 {
			continue
		}
		if len(faults) != 1 || faults[0].Setting != c.setting || faults[0].Item != c.item || !strings.Contains(faults[0].Text, c.write) {
			t.Errorf("%+v: %v\nwant %s[%d] with %q", check, faults, c.setting, c.item, c.write)
		}
	}
}

// TestSpecWithoutFaultsCanRun generates specs. Each fault must be found regardless of other faults; and a server must parse the
// request of a spec without faults as specified.
func TestSpecWithoutFaultsCanRun(t *testing.T) {
	text := rapid.StringOf(rapid.SampledFrom([]rune("aZ0-._~!$&'()*+,;=:@/?#[]%41 \t\r\n\x00\x7fü世\"\\{}|^<>")))
	mostly := func(good ...string) *rapid.Generator[string] {
		return rapid.OneOf(append(slices.Repeat([]*rapid.Generator[string]{rapid.SampledFrom(good)}, 15), text)...)
	}
	good := 0
	rapid.Check(t, func(t *rapid.T) {
		h := Request{
			Method: mostly("", "GET", "HEAD", "OPTIONS", "POST").Draw(t, "method"),
			Path:   rapid.OneOf(mostly("", "/", "/a?b=c"), mostly("/"), rapid.Map(text, func(s string) string { return "/" + s })).Draw(t, "path"),
			Host:   mostly("", "a", "[::1]:80", "a.b:1").Draw(t, "host"),
			Body:   mostly("", "", "ok", "^a|b$").Draw(t, "body"),
		}
		for range rapid.IntRange(0, 3).Draw(t, "headers") {
			h.Header = append(h.Header, Header{mostly("X-A", "Accept", "Via").Draw(t, "name"), secret.Text(mostly("", "a", "a b").Draw(t, "value"))})
		}
		spec := Spec{Check: &HTTPS{h, &TLS{ServerName: mostly("", "a.b", "::1").Draw(t, "server name")}}}
		faults := spec.Faults()
		_, err := NewProbe(spec)
		if (err == nil) != (len(faults) == 0) {
			t.Fatalf("%v, but the constructor says %v", faults, err)
		}
		if err != nil {
			return
		}
		good++
		c, err := h.compile(Setup{Timeout: spec.Timeout})
		if err != nil {
			t.Fatal(err)
		}
		sent := c.appendRequest(nil, netip.MustParseAddrPort("192.0.2.1:80"))
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(string(sent))))
		if err != nil {
			t.Fatalf("%q: %v", sent, err)
		}
		want := h.withDefaults()
		if r.Method != want.Method || r.RequestURI != want.Path || h.Host != "" && r.Host != h.Host || r.ContentLength != 0 {
			t.Fatalf("%q was read as %+v", sent, r)
		}
		for _, header := range h.Header {
			if !slices.Contains(r.Header.Values(header.Name), strings.Trim(header.Value.Reveal(), " \t")) {
				t.Fatalf("%q: %v has no %s", sent, r.Header, header.Name)
			}
		}
	})
	if good == 0 {
		t.Error("no spec was good")
	}
}

// FuzzProgramSize checks that an expression without faults compiles to a program within the limit.
func FuzzProgramSize(f *testing.F) {
	for _, seed := range []string{"", "hel+o", "(?i)ok|up", ".{0,1000}x", "((a{10}){10}){10}", "x{1000}y{1000}", `\pL{900,}`, "(|a|b|)*?", "(?:){1000}", "[^\\x00-\\x{10FFFF}]", "a{0}", "(a?){400}(?:b?){400}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, expression string) {
		if len(bodyFaults(expression)) > 0 {
			return
		}
		parsed, err := syntax.Parse(expression, syntax.Perl)
		if err != nil {
			t.Fatal(err)
		}
		program, err := syntax.Compile(parsed.Simplify())
		if err != nil {
			t.Fatal(err)
		}
		if n, estimate := len(program.Inst), programSize(parsed)+2; n > estimate { // plus start and end
			t.Errorf("%q has %d instructions, not %d", expression, n, estimate)
		}
	})
}
