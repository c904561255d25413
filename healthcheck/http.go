package healthcheck

import (
	"context"
	"crypto/tls"
	"net/netip"
	"strconv"
	"time"

	"golang.org/x/net/http2"
)

// HTTP is a check that sends an HTTP request.
type HTTP struct {
	Request `json:"http"`
}

func newHTTP() Check { return &HTTP{defaultRequest()} }

// Kind implements Check.
func (*HTTP) Kind() Kind { return "http" }

// Faults implements Check.
func (c *HTTP) Faults() []Fault { return c.Request.faults() }

// Probe implements Check.
func (c *HTTP) Probe(s Setup) (Probe, error) {
	check, err := c.compile(s)
	if err != nil {
		return nil, err
	}
	check.port = 80
	return check.probe, nil
}

// quick implements quickCheck.
func (c *HTTP) quick(s Setup) (*quick, error) {
	check, err := c.compile(s)
	if err != nil || check.two {
		return nil, err
	}
	check.port = 80
	return &quick{timeout: s.Timeout, source: s.Source, http: check}, nil
}

// AppendIdentity implements Check.
func (c *HTTP) AppendIdentity(b []byte) []byte { return c.Request.appendIdentity(b) }

// Redacted implements Check.
func (c *HTTP) Redacted() Check { return &HTTP{c.Request.redacted()} }

// httpCheck is a compiled HTTP or HTTPS check: one HTTP/1.1 request on a new connection. It does not follow redirects or use
// a proxy.
type httpCheck struct {
	timeout    time.Duration
	source     Source
	skipVerify bool        // accept any certificate
	tls        *tls.Config // nil for HTTP
	host       string      // Host header; "": the server's address
	port       uint16      // omitted from a Host header that is the server's address
	before     string      // the request up to the Host header's value
	after      string      // the request after the Host header's value
	method     string
	status     []StatusRange
	body       *bodyMatch // nil accepts any
	absent     bool       // body must not match
	weight     *Weight    // nil if the response has none
	digest     *digest    // nil accepts any
	two        bool       // HTTP/2
	path       string     // for HTTP/2
	fields     []field    // for HTTP/2
}

func (c *httpCheck) probe(ctx context.Context, server netip.AddrPort) (result Result) {
	raw, err := dial(ctx, server, dialOptions{lateACK: true, source: c.source})
	if err != nil {
		return failed(ctx, c.timeout, "", err)
	}
	open := true
	defer func() {
		if open {
			_ = raw.Close()
		} else {
			// The server has closed its side. RST leaves no state there or in connection tracking on the path.
			_ = raw.abort()
		}
	}()
	result, open = c.converse(ctx, raw)
	return result
}

// converse runs the check on a connection. open reports that the server has not closed it.
func (c *httpCheck) converse(ctx context.Context, raw *conn) (result Result, open bool) {
	if c.tls == nil {
		if c.two {
			return c.exchangeTwo(ctx, raw, raw), true
		}
		return c.exchange(ctx, raw, raw.remote)
	}
	secured, err := secure(ctx, raw, c.tls, c.skipVerify)
	if err != nil {
		return failed(ctx, c.timeout, "in the TLS handshake", err), true
	}
	switch {
	case !c.two:
		result, open = c.exchange(ctx, secured, raw.remote)
	case secured.ConnectionState().NegotiatedProtocol != http2.NextProtoTLS:
		result, open = Result{Reason: Protocol, Detail: string(errNoHTTP2)}, true
	default:
		result, open = c.exchangeTwo(ctx, raw, secured), true
	}
	if open && ctx.Err() == nil {
		_ = secured.CloseWrite()
	}
	return result, open
}

// appendRequest appends the request for a server.
func (c *httpCheck) appendRequest(b []byte, server netip.AddrPort) []byte {
	b = append(b, c.before...)
	if c.host != "" {
		b = append(b, c.host...)
	} else {
		b = appendHost(b, server, c.port)
	}
	return append(b, c.after...)
}

// appendHost appends an address in the form of a Host header (RFC 9110 section 7.2).
func appendHost(b []byte, server netip.AddrPort, defaultPort uint16) []byte {
	ip := server.Addr().Unmap().WithZone("")
	if ip.Is6() {
		b = append(b, '[')
	}
	b = ip.AppendTo(b)
	if ip.Is6() {
		b = append(b, ']')
	}
	if server.Port() == defaultPort {
		return b
	}
	b = append(b, ':')
	return strconv.AppendUint(b, uint64(server.Port()), 10)
}
