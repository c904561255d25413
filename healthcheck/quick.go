package healthcheck

import (
	"bytes"
	"context"
	"errors"
	"io"
	"time"
)

// quick is a check that the event loop can run without a goroutine: a TCP connection and at most one HTTP request on it.
type quick struct {
	timeout time.Duration
	source  Source
	http    *httpCheck // nil: the connection is all that is checked
}

// quickCheck is a Check that may be a quick one.
type quickCheck interface {
	// quick returns nil if the check with its parameters is not a quick one.
	quick(Setup) (*quick, error)
}

// newQuick returns the quick check of a spec, or nil if there is none.
func newQuick(spec Spec) *quick {
	c, ok := spec.Check.(quickCheck)
	if !ok {
		return nil
	}
	q, err := c.quick(Setup{Timeout: spec.Timeout, Source: spec.Source, Weight: spec.Weight})
	if err != nil {
		return nil
	}
	return q
}

// Limits of what the event loop evaluates. A response that arrives in more parts, or is longer, gets a goroutine, which reads
// it with bounded memory and pauses other checks neither while it reads nor while it matches.
const (
	quickBytes = 32 << 10
	quickParts = 4
)

// verdict is what is known about a check after a part of a response.
type verdict struct {
	result  Result
	enough  bool // the result is final
	closing bool // the result is final once the server has closed the connection, or not
	open    bool // the server has not closed the connection
}

// needsGoroutine reports that matching the response may take long.
func (q *quick) needsGoroutine() bool {
	return q.http.body != nil && q.http.body.literal == nil
}

// answer evaluates what was received so far. end is why no more can come, or nil if more may come.
func (q *quick) answer(ctx context.Context, received []byte, end error) verdict {
	w := workspaces.Get().(*workspace)
	defer w.release()
	r := &part{Reader: bytes.NewReader(received), end: end}
	result, last := q.http.respond(ctx, r, w)
	switch {
	case r.short:
		return verdict{}
	case !last:
		return verdict{result: result, enough: true, open: true}
	case w.buffered.Buffered() > 0 || r.Len() > 0:
		return verdict{result: result, enough: true, open: true}
	case end != nil:
		return verdict{result: result, enough: true, open: !errors.Is(end, io.EOF)}
	}
	return verdict{result: result, closing: true}
}

// part reads what was received. short reports that a read found nothing, and that more may come.
type part struct {
	*bytes.Reader
	end   error
	short bool
}

// Read implements io.Reader.
func (r *part) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	if err == nil {
		return n, nil
	}
	if r.end == nil {
		r.short = true
		return 0, errShort
	}
	return n, r.end
}

var errShort = errors.New("more is to come")

// resume continues a check in a goroutine: on a connection to which the rest of the request has to be sent, and from which
// something was received. end is why no more can come, or nil.
func (q *quick) resume(ctx context.Context, conn *conn, unsent, received []byte, end error) Result {
	w := workspaces.Get().(*workspace)
	defer w.release()
	rest := io.Reader(conn)
	if end != nil {
		rest = &part{Reader: bytes.NewReader(nil), end: end}
	}
	result, open := q.http.send(ctx, conn, unsent, io.MultiReader(bytes.NewReader(received), rest), w)
	if open {
		_ = conn.Close()
	} else {
		_ = conn.abort()
	}
	return result
}
