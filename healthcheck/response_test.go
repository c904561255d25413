package healthcheck

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
)

// FuzzResponseHead compares readHead with package net/http: both must return the same status, body and connection close, or
// both an error.
func FuzzResponseHead(f *testing.F) {
	const ok = "HTTP/1.1 200 OK\r\n"
	for _, seed := range []string{
		"", ok, ok + "\r\n", ok + "\r\nhello", ok + "Content-Length: 5\r\n\r\nhello and more", ok + "Content-Length: 5\r\n\r\nhe",
		ok + "content-length:5\r\nContent-Length: 5\r\n\r\nhello", ok + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
		ok + "Content-Length: 5, 5\r\n\r\nhello", ok + "Content-Length: +5\r\n\r\nhello", ok + "Content-Length:\r\n\r\nhello", ok + "Content-Length: 05\r\n\r\nhello",
		ok + "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n5\r\nhello\r\n0\r\n\r\n", ok + "Transfer-Encoding: Chunked\r\n\r\n2;x=y\r\nhe\r\n0\r\nX: y\r\n\r\n",
		ok + "Transfer-Encoding: gzip\r\n\r\nx", ok + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", ok + "Transfer-Encoding: chunked\r\n\r\n0\r\nX",
		ok + "Transfer-Encoding: identity\r\n\r\nx", ok + "Transfer-Encoding:\r\n\r\nx",
		"HTTP/1.0 200\r\n\r\nhello", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx",
		ok + "Connection: x, Close\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello", "HTTP/1.1 304 \r\n\r\nx",
		"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", ok + "X : y\r\n\r\n", ok + " X: y\r\n\r\n", ok + "X: y\r\n z\r\n\r\n", ok + "X\r\n\r\n", ok + ": y\r\n\r\n",
		ok + "X: \x00\r\n\r\n", ok + "Content-Length: 5\r\n 0\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n", "HTTP/1.1  200 OK\r\n\r\n", "HTTP/1.1 +20 OK\r\n\r\n", "HTTP/2.0 200 OK\r\n\r\n",
		"HTTP/1.1 200 OK\nX: y\n\nhello", ok + "X: " + strings.Repeat("y", 100) + "\r\nContent-Length: 5\r\n\r\nhello",
	} {
		f.Add([]byte(seed), false)
		f.Add([]byte(seed), true)
	}
	f.Fuzz(func(t *testing.T, answer []byte, asksHead bool) {
		method := http.MethodGet
		if asksHead {
			method = http.MethodHead
		}
		theirs, theirErr := http.ReadResponse(bufio.NewReaderSize(bytes.NewReader(answer), 1<<20), &http.Request{Method: method})
		reader := bufio.NewReaderSize(bytes.NewReader(answer), 4096)
		ours, ourErr := readHead(reader, method, "")
		if ourErr != nil {
			if theirErr == nil && !stricter(theirs, answer) {
				t.Fatalf("%q: %v", answer, ourErr)
			}
			return
		}
		if theirErr != nil {
			t.Fatalf("%q: %+v, but package net/http says %v", answer, ours, theirErr)
		}
		if ours.status != theirs.StatusCode || ours.close != theirs.Close {
			t.Fatalf("%q: %+v, but package net/http says %d, close %v", answer, ours, theirs.StatusCode, theirs.Close)
		}
		ourBody, ourErr := io.ReadAll(ours.body(reader))
		theirBody, theirErr := io.ReadAll(theirs.Body)
		if (ourErr == nil) != (theirErr == nil) && !bytes.Contains(answer, []byte("0\r\n")) || !bytes.Equal(ourBody, theirBody) {
			t.Fatalf("%q: the body is %q, %v; package net/http has %q, %v", answer, ourBody, ourErr, theirBody, theirErr)
		}
	})
}

// stricter reports whether we reject a response that package net/http accepts: one with another HTTP version, a signed status,
// a continued framing header, or a framing header longer than the buffer.
func stricter(r *http.Response, answer []byte) bool {
	return r.ProtoMajor != 1 || r.ProtoMinor > 1 || r.StatusCode < 100 || bytes.Contains(answer, []byte("\n ")) || bytes.Contains(answer, []byte("\n\t")) || len(answer) > 4096
}

// TestHeaderMemoryIsBounded checks that only the buffer of a header is kept.
func TestHeaderMemoryIsBounded(t *testing.T) {
	var header strings.Builder
	header.WriteString("HTTP/1.1 200 OK\r\n")
	for i := 0; header.Len() < maxHeader-100; i++ {
		header.WriteString(string(rune('a'+i%26)) + "-" + strings.Repeat("x", i%7) + ":\r\n")
	}
	allocated := testing.AllocsPerRun(10, func() {
		if _, err := readHead(bufio.NewReaderSize(strings.NewReader(header.String()+"\r\n"), 4096), http.MethodGet, ""); err != nil {
			t.Error(err)
		}
	})
	if allocated > 20 {
		t.Errorf("reading a header of 64 KiB allocates %v times", allocated)
	}
}
