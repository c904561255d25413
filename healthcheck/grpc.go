package healthcheck

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
	"strconv"
	"unicode/utf8"

	"golang.org/x/net/http2"
)

// GRPC is a check with the standard health service, grpc.health.v1.
type GRPC struct {
	Service string `hcl:"service,optional" unset:"the whole server" json:"service,omitempty"`
	Host    string `hcl:"host,optional" unset:"the address" json:"host,omitempty"`
	TLS     *TLS   `hcl:"tls,block" json:"tls,omitempty"`
}

func newGRPC() Check { return &GRPC{} }

// NotServing is the reason of a gRPC server that says that it does not serve, or does not know.
const NotServing Reason = "not-serving"

// Kind implements Check.
func (*GRPC) Kind() Kind { return "grpc" }

// Faults implements Check.
func (c *GRPC) Faults() []Fault {
	faults := c.TLS.faults()
	if len(c.Service) > maxWords || !utf8.ValidString(c.Service) {
		faults = append(faults, fault("service", "Write the name of a service, such as \"example.v1.Orders\", with at most %d bytes.", maxWords))
	}
	if c.Host != "" && !isHost(c.Host) {
		faults = append(faults, fault("host", "%s is not a host. Write a name or an address, as \"www.example.com\".", quote(c.Host)))
	}
	return faults
}

// AppendIdentity implements Check.
func (c *GRPC) AppendIdentity(b []byte) []byte {
	return c.TLS.appendIdentity(appendText(appendText(b, c.Service), c.Host))
}

// Redacted implements Check.
func (c *GRPC) Redacted() Check {
	shown := *c
	shown.TLS = c.TLS.redacted()
	return &shown
}

// Security implements Secured.
func (c *GRPC) Security() *TLS { return c.TLS }

// Probe implements Check.
func (c *GRPC) Probe(s Setup) (Probe, error) {
	var config *tls.Config
	scheme := "http"
	if c.TLS != nil {
		var err error
		if config, err = tlsConfig(c.TLS, c.Host, http2.NextProtoTLS); err != nil {
			return nil, err
		}
		scheme = "https"
	}
	body := grpcRequest(c.Service)
	return func(ctx context.Context, server netip.AddrPort) Result {
		conn, err := dial(ctx, server, dialOptions{lateACK: true, source: s.Source})
		if err != nil {
			return failed(ctx, s.Timeout, "", err)
		}
		defer conn.Close()
		var stream io.ReadWriter = conn
		if config != nil {
			secured, err := secure(ctx, conn, config, c.TLS.SkipVerify)
			if err != nil {
				return failed(ctx, s.Timeout, "in the TLS handshake", err)
			}
			if secured.ConnectionState().NegotiatedProtocol != http2.NextProtoTLS {
				return Result{Reason: Protocol, Detail: string(errNoHTTP2)}
			}
			defer secured.CloseWrite() //nolint:errcheck // the server is told if it can be
			stream = secured
		}
		host := c.Host
		if host == "" {
			host = string(appendHost(nil, server, 0))
		}
		fields := []field{{":method", "POST"}, {":scheme", scheme}, {":authority", host}, {":path", "/grpc.health.v1.Health/Check"},
			{"content-type", "application/grpc"}, {"te", "trailers"}, {"user-agent", userAgent}}
		x, err := exchangeTwo(stream, fields, body, "grpc-status")
		if err == nil {
			return judgeGRPC(ctx, s, x)
		}
		return failedTwo(ctx, s, "while waiting for the response header", err)
	}, nil
}

// grpcRequest encodes a HealthCheckRequest: field 1 is the name of the service. A message is preceded by a byte for its compression
// and four for its length.
func grpcRequest(service string) []byte {
	var message []byte
	if service != "" {
		message = appendText([]byte{1<<3 | 2}, service)
	}
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...)
}

// maxGRPC limits the response's message, in bytes: it has two.
const maxGRPC = 1 << 10

// judgeGRPC evaluates the response.
func judgeGRPC(ctx context.Context, s Setup, x *httpTwo) Result {
	if x.status != 200 {
		return Result{Reason: WrongStatus, Detail: "status " + strconv.Itoa(x.status) + ", want 200"}
	}
	body, err := io.ReadAll(io.LimitReader(x, maxGRPC+1))
	if err != nil {
		return failedTwo(ctx, s, "while reading the response", err)
	}
	if len(body) > maxGRPC {
		return Result{Reason: Protocol, Detail: "response too long"}
	}
	switch code, err := strconv.ParseUint(x.header["grpc-status"], 10, 31); {
	case err != nil:
		return Result{Reason: Protocol, Detail: string(errNoTrailer)}
	case code == 5:
		return Result{Reason: NotServing, Detail: "the service is unknown to the server (gRPC status 5)"}
	case code == 12:
		return Result{Reason: NotServing, Detail: "the server has no health service (gRPC status 12)"}
	case code != 0:
		return Result{Reason: NotServing, Detail: "gRPC status " + strconv.FormatUint(code, 10)}
	}
	serving, err := parseServing(body)
	if err != nil {
		return Result{Reason: Protocol, Detail: "malformed response"}
	}
	if serving != 1 {
		return Result{Reason: NotServing, Detail: "not serving (" + strconv.FormatUint(serving, 10) + ")"}
	}
	return Result{OK: true, Detail: "serving"}
}

var errGRPC = errors.New("malformed message")

// parseServing returns the status in a HealthCheckResponse: field 1, of which the last one counts. Unknown fields are skipped.
func parseServing(body []byte) (status uint64, err error) {
	if len(body) < 5 || body[0] != 0 || uint64(binary.BigEndian.Uint32(body[1:])) != uint64(len(body)-5) {
		return 0, errGRPC
	}
	for rest := body[5:]; len(rest) > 0; {
		key, n := binary.Uvarint(rest)
		if n <= 0 || key>>3 == 0 {
			return 0, errGRPC
		}
		rest = rest[n:]
		size := 0
		switch key & 7 {
		case 0:
			value, n := binary.Uvarint(rest)
			if n <= 0 {
				return 0, errGRPC
			}
			if key>>3 == 1 {
				status = value
			}
			size = n
		case 1:
			size = 8
		case 2:
			length, n := binary.Uvarint(rest)
			if n <= 0 || length > uint64(len(rest)) {
				return 0, errGRPC
			}
			size = n + int(length)
		case 5:
			size = 4
		default:
			return 0, errGRPC
		}
		if size > len(rest) {
			return 0, errGRPC
		}
		rest = rest[size:]
	}
	return status, nil
}
