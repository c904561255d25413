package healthcheck

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"time"
)

// FuzzQuickAnswer passes a response in random parts to a quick check. The result must be that of the same response read from
// a connection, which FuzzResponseHead compares with package net/http.
func FuzzQuickAnswer(f *testing.F) {
	const ok = "HTTP/1.1 200 OK\r\n"
	for i, seed := range []string{
		"", "\r\n", ok, ok + "\r\n", ok + "\r\nhello", ok + "Content-Length: 5\r\n\r\nhello", ok + "Content-Length: 5\r\n\r\nhello and more", ok + "Content-Length: 5\r\n\r\nhe",
		ok + "Connection: close\r\nContent-Length: 5\r\n\r\nhello", ok + "Connection: close\r\nContent-Length: 5\r\n\r\nhello and more",
		ok + "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhello\r\n0\r\n\r\n", ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\nmore",
		ok + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n", "HTTP/1.0 200\r\n\r\nhello", "HTTP/1.1 503 No\r\n\r\n", "HTTP/0.9 garbage", "\x16\x03\x01\x00",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",
		ok + "Content-Length: 9223372036854775807\r\n\r\n", ok + "X: " + string(bytes.Repeat([]byte("y"), 5000)) + "\r\nContent-Length: 5\r\n\r\nhello",
	} {
		f.Add([]byte(seed), uint64(i))
	}
	plain, literal := fuzzCheck(f, ""), fuzzCheck(f, "hello")
	summed := fuzzCheck(f, "")
	var err error
	if summed.digest, err = parseDigest("5d41402abc4b2a76b9719d911017c592"); err != nil { // of hello
		f.Fatal(err)
	}
	weighed := fuzzCheck(f, "")
	weighed.weight = &Weight{Header: "X"}
	f.Fuzz(func(t *testing.T, response []byte, seed uint64) {
		if len(response) > quickBytes {
			return
		}
		for _, end := range []error{io.EOF, errors.New("reset")} {
			for i, c := range []*httpCheck{plain, literal, summed, weighed} {
				want, wantOpen := c.exchange(t.Context(), &ending{canned{answer: bytes.NewReader(response)}, end}, someServer)
				got, open := inParts(t, &quick{timeout: time.Second, http: c}, response, end, rand.New(rand.NewPCG(seed, 1)))
				if got != want || open != wantOpen {
					t.Errorf("check %d, then %v: %q: %+v, open %v; from a connection: %+v, open %v", i, end, response, got, open, want, wantOpen)
				}
			}
		}
	})
}

// ending is a server whose connection ends with an error.
type ending struct {
	canned
	end error
}

func (e *ending) Read(b []byte) (int, error) {
	n, err := e.canned.Read(b)
	if err != nil {
		err = e.end
	}
	return n, err
}

// inParts evaluates a response as the loop does.
func inParts(t *testing.T, q *quick, response []byte, end error, random *rand.Rand) (Result, bool) {
	for n := 0; ; {
		last := n == len(response)
		if !last {
			n += 1 + random.IntN(len(response)-n)
		}
		var v verdict
		if last {
			v = q.answer(t.Context(), response, end)
		} else {
			v = q.answer(t.Context(), response[:n], nil)
		}
		switch {
		case v.enough:
			return v.result, v.open
		case last:
			t.Fatalf("%q, then %v: no result", response, end)
		case v.closing && n == len(response):
			return v.result, end != io.EOF
		case v.closing:
			return v.result, true
		}
	}
}
