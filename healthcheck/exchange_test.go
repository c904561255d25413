package healthcheck

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/lvs-ha/lvs-ha/internal/secret"
)

// canned is a server that sends the same bytes in response to everything.
type canned struct {
	answer *bytes.Reader
	sent   bytes.Buffer
}

func (c *canned) Read(b []byte) (int, error)  { return c.answer.Read(b) }
func (c *canned) Write(b []byte) (int, error) { return c.sent.Write(b) }

const fuzzSecret = "c2VjcmV0"

func fuzzCheck(t testing.TB, body string) *httpCheck {
	c, err := Request{
		Body: body, Header: []Header{{Name: "Authorization", Value: secret.Text(fuzzSecret)}},
	}.compile(Setup{Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var someServer = netip.MustParseAddrPort("192.0.2.1:80")

// FuzzResponse responds with arbitrary bytes. The exchange must end, respect its read limits, and not reveal what the server
// sent.
func FuzzResponse(f *testing.F) {
	for _, seed := range []string{
		"",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
		"HTTP/1.0 200\r\n\r\nhello",
		"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",
		"HTTP/1.1 503 " + fuzzSecret + "\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: " + fuzzSecret + "\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775807\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
		"HTTP/1.1 200 OK\r\n folded\r\n\r\n",
		"HTTP/9.9 999 \x00\r\n\r\n",
		"\r\n\r\n\x16\x03\x01",
	} {
		f.Add([]byte(seed))
	}
	plain, matching := fuzzCheck(f, ""), fuzzCheck(f, "hel+o")
	f.Fuzz(func(t *testing.T, answer []byte) {
		for _, c := range []*httpCheck{plain, matching} {
			server := &canned{answer: bytes.NewReader(answer)}
			result, _ := c.exchange(t.Context(), server, someServer)
			checkDetail(t, result)
			if result.OK && !bytes.HasPrefix(answer, []byte("HTTP/")) {
				t.Errorf("%q is good", answer)
			}
		}
	})
}

func checkDetail(t *testing.T, r Result) {
	t.Helper()
	unprintable := func(r rune) bool { return r > unicode.MaxASCII || !unicode.IsPrint(r) }
	if r.Detail == "" || len(r.Detail) > 120 || strings.ContainsFunc(r.Detail, unprintable) || strings.Contains(r.Detail, fuzzSecret) {
		t.Errorf("detail %q", r.Detail)
	}
}

// endless sends a prefix once, then a filler without end, and counts the bytes.
type endless struct {
	beginning io.Reader
	filler    byte
	count     int
}

func (e *endless) Write(b []byte) (int, error) { return len(b), nil }

func (e *endless) Read(b []byte) (int, error) {
	if n, err := e.beginning.Read(b); err == nil {
		e.count += n
		return n, nil
	}
	for i := range b {
		b[i] = e.filler
	}
	e.count += len(b)
	return len(b), nil
}

// TestResponseIsReadWithinLimits has servers that send without end, at each place of a response.
func TestResponseIsReadWithinLimits(t *testing.T) {
	for _, beginning := range []string{
		"", "HTTP/1.1 200 ", "HTTP/1.1 200 OK\r\nX: ", "HTTP/1.1 200 OK\r\nX", "HTTP/1.1 200 OK\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;",
	} {
		for _, filler := range []byte("x0\n\r ") {
			server := &endless{beginning: strings.NewReader(beginning), filler: filler}
			result, _ := fuzzCheck(t, "^x").exchange(t.Context(), server, someServer)
			checkDetail(t, result)
			if most := maxHeader + maxBody + maxFraming + len(beginning); server.count > most {
				t.Errorf("%q, then %q for ever: %d bytes were read, more than %d", beginning, filler, server.count, most)
			}
		}
	}
}

// TestExchangeEndsWithTheConnection runs an exchange over a pipe whose other end is closed in the middle.
func TestExchangeEndsWithTheConnection(t *testing.T) {
	for _, sent := range []string{"", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe"} {
		ours, theirs := net.Pipe()
		go func() {
			defer theirs.Close()
			var b [1024]byte
			if _, err := theirs.Read(b[:]); err == nil {
				_, _ = io.WriteString(theirs, sent)
			}
		}()
		result, _ := fuzzCheck(t, "").exchange(context.Background(), ours, someServer)
		if result.OK || !strings.HasPrefix(result.Detail, "connection closed while") {
			t.Errorf("after %q: %+v", sent, result)
		}
		_ = ours.Close()
	}
}

func BenchmarkExchange(b *testing.B) {
	answer := []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n")
	c := fuzzCheck(b, "")
	server := &canned{answer: bytes.NewReader(nil)}
	b.ReportAllocs()
	for b.Loop() {
		server.answer.Reset(answer)
		server.sent.Reset()
		if result, _ := c.exchange(b.Context(), server, someServer); !result.OK {
			b.Fatal(result)
		}
	}
}
