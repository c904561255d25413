package healthcheck_test

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	. "github.com/lvs-ha/lvs-ha/healthcheck"
)

func TestReasonsOfErrors(t *testing.T) {
	expired, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	for _, c := range []struct {
		ctx  context.Context
		err  error
		want Reason
	}{
		{t.Context(), syscall.ECONNREFUSED, Refused},
		{t.Context(), syscall.EHOSTUNREACH, Unreachable},
		{t.Context(), syscall.ECONNRESET, Closed},
		{t.Context(), io.ErrUnexpectedEOF, Closed},
		{t.Context(), syscall.ETIMEDOUT, TimedOut},
		{t.Context(), syscall.EMFILE, NotChecked},
		{t.Context(), syscall.ENOTSOCK, Failed},
		{t.Context(), x509.UnknownAuthorityError{}, Handshake},
		{t.Context(), errors.New("malformed"), Protocol},
		{expired, syscall.ECONNRESET, TimedOut},
	} {
		r := ResultOf(c.ctx, time.Second, "while testing", c.err)
		if r.OK || r.Reason != c.want || r.Local != (c.want == NotChecked) {
			t.Errorf("%v: %+v, want the reason %s", c.err, r, c.want)
		}
	}
}

func TestReasonsOfHTTP(t *testing.T) {
	matching := func(r *Request) { r.Body = "good" }
	for answer, want := range map[string]Reason{
		response(200, "good"):          "",
		response(200, "bad"):           WrongBody,
		response(503, "good"):          WrongStatus,
		"220 mail.example.com\r\n\r\n": Protocol,
		"HTTP/1.1 200 OK\r\n" + strings.Repeat("X: y\r\n", 20_000): Protocol,
	} {
		if r := check(t, httpSpec(matching), serve(t, loopback, answering(answer))); r.Reason != want {
			t.Errorf("%.20q: %+v, want the reason %q", answer, r, want)
		}
	}
}
