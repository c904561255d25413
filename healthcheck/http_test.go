package healthcheck_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	. "github.com/lvs-ha/lvs-ha/healthcheck"
)

func httpSpec(change func(*Request)) Spec {
	h := Request{Method: "GET", Path: "/"}
	if change != nil {
		change(&h)
	}
	return Spec{Timeout: 5 * time.Second, Check: &HTTP{h}}
}

func response(status int, body string) string {
	return fmt.Sprintf("HTTP/1.1 %d %s\r\nContent-Length: %d\r\n\r\n%s", status, http.StatusText(status), len(body), body)
}

func TestHTTPStatus(t *testing.T) {
	for _, c := range []struct {
		status int
		want   []StatusRange
		ok     bool
		detail string
	}{
		{200, nil, true, "status 200"},
		{204, nil, true, "status 204"},
		{302, []StatusRange{{300, 399}}, true, "status 302"}, // not followed
		{302, nil, false, "status 302, want 200-299"},
		{404, nil, false, "status 404, want 200-299"},
		{503, nil, false, "status 503, want 200-299"},
		{199, nil, false, "more than 5 interim responses"},
		{101, []StatusRange{{101, 101}}, true, "status 101"},
		{200, []StatusRange{{204, 204}}, false, "status 200, want 204"},
		{401, []StatusRange{{200, 299}, {401, 401}}, true, "status 401"},
		{500, []StatusRange{{200, 299}, {401, 401}}, false, "status 500, want 200-299 or 401"},
	} {
		answer := response(c.status, "")
		if c.status == 199 {
			answer = strings.Repeat(answer, 10)
		}
		spec := httpSpec(func(h *Request) { h.Status = c.want })
		wantResult(t, check(t, spec, serve(t, loopback, answering(answer))), c.ok, c.detail)
	}
}

func TestHTTPResponses(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	match := func(h *Request) { h.Body = "^he.*lo$" }
	absent := func(h *Request) { h.Body, h.Absent = "^he.*lo$", true }
	for name, c := range map[string]struct {
		answer string
		change func(*Request)
		ok     bool
		detail string
	}{
		"content length":         {response(200, "hello"), match, true, "status 200"},
		"until closed":           {ok + "\r\nhello", match, true, "status 200"},
		"chunked":                {ok + "Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", match, true, "status 200"},
		"HTTP/1.0":               {"HTTP/1.0 200 OK\r\n\r\nhello", match, true, "status 200"},
		"no reason":              {"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", nil, true, "status 200"},
		"early hints":            {"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + response(200, "hello"), match, true, "status 200"},
		"says close":             {ok + "Connection: close\r\nContent-Length: 5\r\n\r\nhello", match, true, "status 200"},
		"other body":             {response(200, "goodbye"), match, false, "body does not match"},
		"no body":                {response(200, ""), match, false, "body does not match"},
		"absent":                 {response(200, "goodbye"), absent, true, "status 200"},
		"absent, no body":        {response(200, ""), absent, true, "status 200"},
		"present":                {response(200, "hello"), absent, false, "body matches"},
		"HEAD":                   {ok + "Content-Length: 5\r\n\r\n", func(h *Request) { h.Method = "HEAD" }, true, "status 200"},
		"nothing":                {"", nil, false, "connection closed while waiting for the response header"},
		"half a header":          {ok + "Content-Length: 5\r\n", nil, false, "connection closed while waiting for the response header"},
		"half a body":            {ok + "Content-Length: 50\r\n\r\nhello", nil, false, "connection closed while reading the response body"},
		"half a chunk":           {ok + "Transfer-Encoding: chunked\r\n\r\n9\r\nhello", nil, false, "connection closed while reading the response body"},
		"bad chunk":              {ok + "Transfer-Encoding: chunked\r\n\r\nzz\r\nhello", nil, false, "protocol error while reading the response body"},
		"garbage":                {"\x00\x01\x02\xff\xfe\r\n\r\n", nil, false, "protocol error while waiting for the response header"},
		"another protocol":       {"220 mail.example.com ESMTP\r\n\r\n", nil, false, "protocol error while waiting for the response header"},
		"bad length":             {ok + "Content-Length: -5\r\n\r\n", nil, false, "protocol error while waiting for the response header"},
		"long header":            {ok + "X: " + strings.Repeat("x", 80<<10) + "\r\n\r\n", nil, false, "response header over 64 KiB"},
		"many headers":           {ok + strings.Repeat("X: y\r\n", 20<<10) + "\r\n", nil, false, "response header over 64 KiB"},
		"match in first MiB":     {ok + "\r\n" + strings.Repeat(" ", 1<<20-5) + "hello", func(h *Request) { h.Body = "hello" }, true, "status 200"},
		"match at an offset":     {response(200, "hello, hello"), func(h *Request) { h.Body, h.First, h.Last = "hello", 7, 7 }, true, "status 200"},
		"match before an offset": {response(200, "hello, hello"), func(h *Request) { h.Body, h.First = "hello", 8 }, false, "body does not match"},
		"match after an offset":  {response(200, "hello, hello"), func(h *Request) { h.Body, h.First, h.Last = "[h]ello", 1, 6 }, false, "body does not match"},
		"match after first MiB": {ok + "\r\n" + strings.Repeat(" ", 1<<20-4) + "hello", func(h *Request) { h.Body = "hello" }, false,
			"body does not match"},
	} {
		t.Run(name, func(t *testing.T) {
			wantResult(t, check(t, httpSpec(c.change), serve(t, loopback, answering(c.answer))), c.ok, c.detail)
		})
	}
}

func TestHTTPSlow(t *testing.T) {
	for name, c := range map[string]struct{ sent, detail string }{
		"half-open": {"", "timeout after 100ms while waiting for the response header"},
		"header":    {"HTTP/1.1 200 OK\r\nContent-", "timeout after 100ms while waiting for the response header"},
		"body":      {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", "timeout after 100ms while reading the response body"},
	} {
		t.Run(name, func(t *testing.T) {
			spec := httpSpec(nil)
			spec.Timeout = 100 * time.Millisecond
			server := serve(t, loopback, func(conn net.Conn) {
				request(conn)
				_, _ = io.WriteString(conn, c.sent)
				hold(conn)
			})
			wantResult(t, check(t, spec, server), false, c.detail)
		})
	}
}

// TestHTTPServerThatKeepsTheConnection checks that a complete response is good regardless of what the server does with the
// connection afterwards.
func TestHTTPServerThatKeepsTheConnection(t *testing.T) {
	for _, header := range []string{"", "Connection: close\r\n"} {
		spec := httpSpec(nil)
		spec.Timeout = 3 * time.Second
		server := serve(t, loopback, func(c net.Conn) {
			request(c)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"+header+"\r\n")
			hold(c)
		})
		wantResult(t, check(t, spec, server), true, "status 200")
	}
}

// TestHTTPLeavesNoTrace checks that no socket is left in TIME_WAIT if the server closes the connection as requested.
func TestHTTPLeavesNoTrace(t *testing.T) {
	server := serve(t, loopback, answering("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"))
	for range 20 {
		wantResult(t, check(t, httpSpec(nil), server), true, "status 200")
	}
	if n := socketsInTimeWait(t, server.Port()); n > 0 {
		t.Errorf("%d sockets are left in TIME_WAIT", n)
	}
}

func TestHTTPEndlessBody(t *testing.T) {
	for _, body := range []string{"", "^x"} {
		server := serve(t, loopback, func(c net.Conn) {
			request(c)
			_, err := io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
			for filler := strings.Repeat("x", 64<<10); err == nil; {
				_, err = io.WriteString(c, filler)
			}
		})
		wantResult(t, check(t, httpSpec(func(h *Request) { h.Body = body }), server), true, "status 200")
	}
}

func TestHTTPReset(t *testing.T) {
	reset := func(c net.Conn) {
		_ = c.(*net.TCPConn).SetLinger(0)
		_ = c.Close()
	}
	atOnce := check(t, httpSpec(nil), serve(t, loopback, reset))
	if atOnce.OK || !strings.HasPrefix(atOnce.Detail, "connection reset while") {
		t.Errorf("reset at once: %+v", atOnce)
	}
	later := serve(t, loopback, func(c net.Conn) {
		request(c)
		reset(c)
	})
	wantResult(t, check(t, httpSpec(nil), later), false, "connection reset while waiting for the response header")
	wantResult(t, check(t, httpSpec(nil), closedPort(t, loopback)), false, "connection refused")
}

// seen returns the request that a server received from a check.
func seen(t *testing.T, spec Spec, address string) (*http.Request, netip.AddrPort) {
	t.Helper()
	got := make(chan *http.Request, 1)
	server := serve(t, address, func(c net.Conn) {
		got <- request(c)
		_, _ = io.WriteString(c, response(200, ""))
	})
	wantResult(t, check(t, spec, server), true, "status 200")
	return <-got, server
}

func TestHTTPRequest(t *testing.T) {
	r, server := seen(t, httpSpec(nil), loopback)
	if r.Method != "GET" || r.RequestURI != "/" || r.Host != server.String() || !r.Close || r.UserAgent() != "lvs-ha" || r.Proto != "HTTP/1.1" {
		t.Errorf("the plainest request: %+v", r)
	}
	r, server = seen(t, httpSpec(nil), "[::1]:0")
	if r.Host != server.String() {
		t.Errorf("Host %q, want %s", r.Host, server)
	}
	r, _ = seen(t, httpSpec(func(h *Request) {
		h.Method, h.Path, h.Host = "POST", "/check?deep=1", "www.example.com"
		h.Header = []Header{{"User-Agent", "probe/1"}, {"X-Two", "a"}, {"X-Two", "b"}, {"Authorization", "Basic eA=="}}
	}), loopback)
	if r.Method != "POST" || r.RequestURI != "/check?deep=1" || r.Host != "www.example.com" || r.ContentLength != 0 {
		t.Errorf("the request line or Host: %+v", r)
	}
	if r.UserAgent() != "probe/1" || fmt.Sprint(r.Header["X-Two"]) != "[a b]" || r.Header.Get("Authorization") != "Basic eA==" {
		t.Errorf("headers: %+v", r.Header)
	}
}

// TestHTTPUsesNoProxy checks that the proxy settings in the environment are ignored.
func TestHTTPUsesNoProxy(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	t.Setenv("http_proxy", "http://127.0.0.1:1")
	seen(t, httpSpec(nil), loopback)
}
