package healthcheck

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
)

// Limits of what a check reads from a response.
const (
	maxHeader   = 64 << 10 // bytes, of all header lines
	maxBody     = 1 << 20  // bytes; the rest is not read
	maxFraming  = maxBody  // bytes of chunk headers and trailers around the body
	maxInterims = 5        // 1xx responses before the final one
)

// workspace has the buffers of an exchange.
type workspace struct {
	limited  io.LimitedReader
	buffered *bufio.Reader
	body     *bufio.Reader // for matching a body; nil until first needed
	request  []byte
}

var workspaces = sync.Pool{New: func() any { return &workspace{buffered: bufio.NewReaderSize(nil, 4096)} }}

// exchange sends the request and evaluates the response. open reports that the server has not closed the connection.
func (c *httpCheck) exchange(ctx context.Context, conn io.ReadWriter, server netip.AddrPort) (result Result, open bool) {
	w := workspaces.Get().(*workspace)
	defer w.release()
	w.request = c.appendRequest(w.request[:0], server)
	return c.send(ctx, conn, w.request, conn, w)
}

// send sends a request and evaluates the response, which is read from r.
func (c *httpCheck) send(ctx context.Context, to io.Writer, request []byte, r io.Reader, w *workspace) (result Result, open bool) {
	if len(request) > 0 {
		if _, err := to.Write(request); err != nil {
			return failed(ctx, c.timeout, "while sending the request", err), false
		}
	}
	result, last := c.respond(ctx, r, w)
	if !last {
		return result, true
	}
	_, err := w.buffered.ReadByte()
	return result, err != io.EOF
}

// release returns the workspace to the pool.
func (w *workspace) release() {
	w.limited.R = nil
	workspaces.Put(w)
}

// respond evaluates a response. last reports that the server is about to close the connection. Let it close first, so that
// its socket is the one in TIME_WAIT.
func (c *httpCheck) respond(ctx context.Context, r io.Reader, w *workspace) (result Result, last bool) {
	w.limited = io.LimitedReader{R: r, N: maxHeader}
	w.buffered.Reset(&w.limited)
	response, interim, err := c.readHeader(w.buffered)
	if err != nil {
		if w.limited.N <= 0 {
			return Result{Reason: Protocol, Detail: fmt.Sprintf("response header over %d KiB", maxHeader>>10)}, false
		}
		return failed(ctx, c.timeout, "while waiting for the response header", err), false
	}
	if interim {
		return Result{Reason: Protocol, Detail: "more than " + strconv.Itoa(maxInterims) + " interim responses"}, false
	}
	w.limited.N = maxBody + maxFraming
	result = c.judge(ctx, response.status, response.weight, response.body(w.buffered), w)
	return result, result.OK && response.close
}

// judge evaluates a response: its status, the value of the header with the weight, and its body.
func (c *httpCheck) judge(ctx context.Context, status int, weight string, body io.Reader, w *workspace) Result {
	if !c.accepts(status) {
		return Result{Reason: WrongStatus, Detail: "status " + strconv.Itoa(status) + ", want " + describeStatus(c.status)}
	}
	var kept *keepStart
	if c.weight != nil && c.weight.JSON != "" {
		kept = &keepStart{Reader: body}
		body = kept
	}
	var digest hash.Hash
	if c.digest != nil {
		digest = c.digest.hash()
		body = io.TeeReader(body, digest)
	}
	matched, doing, err := c.readBody(ctx, body, w)
	if err != nil {
		return failedTwo(ctx, Setup{Timeout: c.timeout}, doing, err)
	}
	if c.body != nil && matched == c.absent {
		return Result{Reason: WrongBody, Detail: map[bool]string{true: "body matches", false: "body does not match"}[matched]}
	}
	if digest != nil {
		if n, _ := body.Read(make([]byte, 1)); n > 0 {
			return Result{Reason: WrongBody, Detail: "body over 1 MiB, which is too long for a digest"}
		}
		if !bytes.Equal(digest.Sum(nil), c.digest.sum) {
			return Result{Reason: WrongBody, Detail: "digest does not match"}
		}
	}
	result := Result{OK: true, Detail: "status " + strconv.Itoa(status)}
	if c.weight != nil {
		var said bool
		if result.Advice, said = c.weight.advice(weight, kept); !said {
			result.Detail += ", without a weight"
		}
	}
	return result
}

// readHeader reads the header of the first response that is not an interim one. interim reports that there were too many
// interim responses.
func (c *httpCheck) readHeader(r *bufio.Reader) (response head, interim bool, err error) {
	for range maxInterims + 1 {
		response, err = readHead(r, c.method, c.weightName())
		if err != nil || response.status >= 200 || response.status == http.StatusSwitchingProtocols {
			return response, false, err
		}
	}
	return response, true, nil
}

// weightName is the name of the header with the weight, or "".
func (c *httpCheck) weightName() string {
	if c.weight == nil {
		return ""
	}
	return c.weight.Header
}

func (c *httpCheck) accepts(status int) bool {
	for _, r := range c.status {
		if r.First <= status && status <= r.Last {
			return true
		}
	}
	return false
}

func describeStatus(ranges []StatusRange) string {
	words := make([]string, 0, len(ranges))
	for _, r := range ranges {
		if r.First == r.Last {
			words = append(words, strconv.Itoa(r.First))
		} else {
			words = append(words, strconv.Itoa(r.First)+"-"+strconv.Itoa(r.Last))
		}
	}
	return strings.Join(words, " or ")
}

// readBody reads at most the first MiB of the body and matches it. doing is what was in progress when an error occurred.
func (c *httpCheck) readBody(ctx context.Context, body io.Reader, w *workspace) (matched bool, doing string, err error) {
	limited := io.LimitReader(body, maxBody)
	matched = true
	if c.body != nil {
		if w.body == nil {
			w.body = bufio.NewReaderSize(nil, 4096)
		}
		matched, doing, err = c.body.find(ctx, limited, w.body)
		w.body.Reset(nil)
	}
	if err == nil {
		doing = "while reading the response body"
		_, err = io.Copy(io.Discard, limited)
	}
	return matched, doing, err
}
