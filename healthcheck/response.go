package healthcheck

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httputil"
	"strconv"
	"strings"
)

// head has the parts of a response's header that a check needs. The rest is not kept: a server that sends 64 KiB of short
// lines and then keeps the connection open would take 1.8 MB as an http.Response.
type head struct {
	status  int
	length  int64 // of the body; -1: until the end of the chunks or of the connection
	chunked bool
	close   bool // the server closes the connection after the response
	weight  string
}

var errMalformed = errors.New("malformed HTTP response")

// readHead reads a response's header (RFC 9112) as strictly as package net/http does.
func readHead(r *bufio.Reader, method, weightName string) (head, error) {
	line, err := readLine(r)
	if err != nil {
		return head{}, err
	}
	proto, rest, _ := bytes.Cut(line, []byte(" "))
	code, _, _ := bytes.Cut(bytes.TrimLeft(rest, " "), []byte(" "))
	h := head{length: -1}
	old := string(proto) == "HTTP/1.0"
	if h.status, err = parseStatus(code); err != nil || !old && string(proto) != "HTTP/1.1" {
		return head{}, errMalformed
	}
	f, err := readFields(r, weightName)
	if err != nil {
		return head{}, err
	}
	if f.length != "" {
		n, err := strconv.ParseUint(f.length, 10, 63)
		if err != nil {
			return head{}, errMalformed
		}
		h.length = int64(n)
	}
	h.weight = f.weight
	h.chunked = f.encoding == "chunked" && !old
	h.close = f.close || old && !f.keepAlive
	switch {
	case f.encoding != "" && !old && !h.chunked:
		return head{}, errMalformed
	case method == http.MethodHead || h.status < 200 || h.status == http.StatusNoContent || h.status == http.StatusNotModified:
		h.length, h.chunked = 0, false
	case h.chunked:
		h.length = -1
	case h.length < 0:
		h.close = true
	}
	return h, nil
}

func parseStatus(code []byte) (int, error) {
	n, err := strconv.ParseUint(string(code), 10, 16)
	if err != nil || len(code) != len("200") || n < 100 {
		return 0, errMalformed
	}
	return int(n), nil
}

// fields are the header fields that determine a response's framing; "" if absent.
type fields struct {
	length, encoding string
	weight           string // the value of a field that is asked for
	close, keepAlive bool
}

// readFields reads header or trailer lines through the empty line. weightName is the name of a field that is asked for.
func readFields(r *bufio.Reader, weightName string) (fields, error) {
	var f fields
	framing := true // the last line is a framing header, or there was none: it cannot be continued
	for {
		line, err := readLine(r)
		if err != nil || len(line) == 0 {
			return f, err
		}
		if line[0] == ' ' || line[0] == '\t' {
			if framing || bytes.ContainsFunc(line, notInValue) {
				return f, errMalformed
			}
			continue
		}
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok || len(name) == 0 || bytes.ContainsFunc(name, notInName) || bytes.ContainsFunc(value, notInValue) {
			return f, errMalformed
		}
		if weightName != "" && strings.EqualFold(string(name), weightName) && len(value) < 64 {
			f.weight = string(value)
		}
		if framing, err = f.take(name, bytes.Trim(value, " \t")); err != nil {
			return f, err
		}
	}
}

// notInName allows blanks, as package net/http does. No relevant name contains one.
func notInName(r rune) bool { return r != ' ' && notInToken(r) }

// take records a field and reports whether it is relevant.
func (f *fields) take(name, value []byte) (matters bool, err error) {
	once := func(field *string, value string) error {
		if value == "" || *field != "" && *field != value {
			return errMalformed
		}
		*field = value
		return nil
	}
	switch {
	case bytes.EqualFold(name, []byte("Content-Length")):
		return true, once(&f.length, string(value))
	case bytes.EqualFold(name, []byte("Transfer-Encoding")):
		if f.encoding != "" {
			return true, errMalformed
		}
		return true, once(&f.encoding, strings.ToLower(string(value)))
	case bytes.EqualFold(name, []byte("Connection")):
		for option := range bytes.SplitSeq(value, []byte(",")) {
			option = bytes.Trim(option, " \t")
			f.close = f.close || bytes.EqualFold(option, []byte("close"))
			f.keepAlive = f.keepAlive || bytes.EqualFold(option, []byte("keep-alive"))
		}
		return true, nil
	}
	return false, nil
}

// readLine reads a line without its terminator. It returns only the beginning of a line that is longer than the buffer.
func readLine(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	if err == nil {
		return bytes.TrimSuffix(line[:len(line)-1], []byte("\r")), nil
	}
	if err != bufio.ErrBufferFull {
		return nil, err
	}
	line = bytes.Clone(line)
	for err == bufio.ErrBufferFull {
		_, err = r.ReadSlice('\n')
	}
	return line, err
}

// body returns the body that follows a header.
func (h head) body(r *bufio.Reader) io.Reader {
	switch {
	case h.chunked:
		return &chunkedBody{chunks: httputil.NewChunkedReader(r), after: r}
	case h.length >= 0:
		return &fixedBody{io.LimitedReader{R: r, N: h.length}}
	}
	return r
}

// fixedBody is a body of known length.
type fixedBody struct{ io.LimitedReader }

// Read implements io.Reader.
func (b *fixedBody) Read(p []byte) (int, error) {
	n, err := b.LimitedReader.Read(p)
	if err == io.EOF && b.N > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// chunkedBody is a body in chunks, including the trailer.
type chunkedBody struct {
	chunks io.Reader
	after  *bufio.Reader
	err    error // after the last chunk
}

// Read implements io.Reader.
func (b *chunkedBody) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.chunks.Read(p)
	if err == io.EOF {
		if _, err = readFields(b.after, ""); err == nil {
			err = io.EOF
		} else if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
	}
	b.err = err
	return n, err
}
