package healthcheck

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// httpTwo is an exchange of one request and its response over HTTP/2 (RFC 9113). It never has to grant more flow control: the
// window is larger than what is read.
type httpTwo struct {
	conn    io.Writer
	limited io.LimitedReader
	framer  *http2.Framer
	status  int
	ended   bool
	data    []byte // of the current frame, not yet read
	header  map[string]string
	answers int // to settings and pings
}

const (
	windowSize     = 4 << 20 // bytes
	maxFrame       = 16 << 10
	maxAnswers     = 100 // a server that asks for more is refused
	onlyStream     = 1
	maxKeptField   = 64 // bytes of a header field that is kept
	errTooMany     = errText("the server does not get to the response")
	errReset       = errText("the server refused the request")
	errUnexpected  = errText("unexpected frame")
	errNoHTTP2     = errText("server does not speak HTTP/2")
	errNoTrailer   = errText("response without a status")
	clientGreeting = http2.ClientPreface
)

// errText is an error that may be shown.
type errText string

func (e errText) Error() string { return string(e) }

// field is a header field.
type field struct{ name, value string }

// exchangeTwo sends a request and reads the response's header. keep has the names of the fields to keep, of the header and the
// trailer.
func exchangeTwo(conn io.ReadWriter, fields []field, body []byte, keep ...string) (*httpTwo, error) {
	x := &httpTwo{conn: conn, limited: io.LimitedReader{R: conn, N: maxHeader + maxBody + maxFraming}, header: map[string]string{}}
	for _, name := range keep {
		x.header[name] = ""
	}
	var out bytes.Buffer
	out.WriteString(clientGreeting)
	x.framer = http2.NewFramer(&out, &x.limited)
	x.framer.SetMaxReadFrameSize(maxFrame)
	x.framer.SetReuseFrames()
	x.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	x.framer.MaxHeaderListSize = maxHeader
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, f := range fields {
		if err := encoder.WriteField(hpack.HeaderField{Name: f.name, Value: f.value}); err != nil {
			return nil, err
		}
	}
	err := errors.Join(
		x.framer.WriteSettings(http2.Setting{ID: http2.SettingEnablePush}, http2.Setting{ID: http2.SettingInitialWindowSize, Val: windowSize}),
		x.framer.WriteWindowUpdate(0, windowSize),
		x.writeHeader(block.Bytes(), body == nil))
	if body != nil {
		err = errors.Join(err, x.framer.WriteData(onlyStream, true, body))
	}
	if err != nil {
		return nil, err
	}
	if _, err := conn.Write(out.Bytes()); err != nil {
		return nil, err
	}
	out.Reset()
	for interims := 0; ; interims++ {
		if err := x.next(); err != nil {
			return nil, err
		}
		if x.status >= 200 {
			return x, nil
		}
		if interims > maxAnswers {
			return nil, errTooMany
		}
	}
}

// writeHeader writes the header in as many frames as needed.
func (x *httpTwo) writeHeader(block []byte, end bool) error {
	first := block[:min(len(block), maxFrame)]
	block = block[len(first):]
	err := x.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: onlyStream, BlockFragment: first, EndStream: end, EndHeaders: len(block) == 0})
	for len(block) > 0 && err == nil {
		part := block[:min(len(block), maxFrame)]
		block = block[len(part):]
		err = x.framer.WriteContinuation(onlyStream, len(block) == 0, part)
	}
	return err
}

// next reads a frame.
func (x *httpTwo) next() error {
	frame, err := x.framer.ReadFrame()
	if err != nil {
		return err
	}
	switch f := frame.(type) {
	case *http2.MetaHeadersFrame:
		return x.take(f)
	case *http2.DataFrame:
		if f.StreamID != onlyStream || x.status < 200 {
			return errUnexpected
		}
		x.data, x.ended = f.Data(), f.StreamEnded()
	case *http2.SettingsFrame:
		if !f.IsAck() {
			return x.answer(func(w *http2.Framer) error { return w.WriteSettingsAck() })
		}
	case *http2.PingFrame:
		if !f.IsAck() {
			return x.answer(func(w *http2.Framer) error { return w.WritePing(true, f.Data) })
		}
	case *http2.RSTStreamFrame:
		return errReset
	case *http2.GoAwayFrame:
		if f.LastStreamID < onlyStream {
			return errReset
		}
	case *http2.PushPromiseFrame:
		return errUnexpected
	}
	return nil
}

// answer sends a frame to the server.
func (x *httpTwo) answer(write func(*http2.Framer) error) error {
	if x.answers++; x.answers > maxAnswers {
		return errTooMany
	}
	var out bytes.Buffer
	if err := write(http2.NewFramer(&out, nil)); err != nil {
		return err
	}
	_, err := x.conn.Write(out.Bytes())
	return err
}

// take records a header, or a trailer.
func (x *httpTwo) take(f *http2.MetaHeadersFrame) error {
	if f.StreamID != onlyStream {
		return errUnexpected
	}
	x.ended = f.StreamEnded()
	if x.status < 200 {
		status, err := parseStatus([]byte(f.PseudoValue("status")))
		if err != nil {
			return err
		}
		x.status = status
	}
	for _, h := range f.RegularFields() {
		if _, wanted := x.header[h.Name]; wanted && len(h.Value) < maxKeptField {
			x.header[h.Name] = h.Value
		}
	}
	return nil
}

// Read reads the body. The trailer has been read when it ends.
func (x *httpTwo) Read(b []byte) (int, error) {
	for len(x.data) == 0 {
		if x.ended {
			return 0, io.EOF
		}
		if err := x.next(); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return 0, err
		}
	}
	n := copy(b, x.data)
	x.data = x.data[n:]
	return n, nil
}

// failedTwo returns the result of an exchange that ended with an error.
func failedTwo(ctx context.Context, s Setup, doing string, err error) Result {
	if text, ok := errors.AsType[errText](err); ok {
		return Result{Reason: Protocol, Detail: string(text)}
	}
	var broken http2.ConnectionError
	if errors.As(err, &broken) || errors.Is(err, http2.ErrFrameTooLarge) {
		return Result{Reason: Protocol, Detail: string(errNoHTTP2)}
	}
	return failed(ctx, s.Timeout, doing, err)
}

// exchangeTwo runs an HTTP check over HTTP/2.
func (c *httpCheck) exchangeTwo(ctx context.Context, conn *conn, stream io.ReadWriter) Result {
	host := c.host
	if host == "" {
		host = string(appendHost(nil, conn.remote, c.port))
	}
	scheme := "http"
	if c.tls != nil {
		scheme = "https"
	}
	fields := append([]field{{":method", c.method}, {":scheme", scheme}, {":authority", host}, {":path", c.path}}, c.fields...)
	weight := strings.ToLower(c.weightName())
	x, err := exchangeTwo(stream, fields, nil, weight)
	if err != nil {
		return failedTwo(ctx, Setup{Timeout: c.timeout}, "while waiting for the response header", err)
	}
	w := workspaces.Get().(*workspace)
	defer workspaces.Put(w)
	return c.judge(ctx, x.status, x.header[weight], x, w)
}

// protocol is the name of the protocol in the TLS handshake (ALPN).
func (c *httpCheck) protocol() string {
	if c.two {
		return http2.NextProtoTLS
	}
	return "http/1.1"
}

// fieldsOf returns the header fields of a request. Those about the connection do not exist in HTTP/2.
func (s *Request) fieldsOf() []field {
	var fields []field
	for line := range strings.SplitSeq(s.headers(), "\r\n") {
		name, value, ok := strings.Cut(line, ": ")
		if name = strings.ToLower(name); ok && name != "connection" && name != "upgrade" {
			fields = append(fields, field{name, strings.TrimSpace(value)})
		}
	}
	return fields
}
