package healthcheck

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/netip"
)

// TCP is a check that connects, and optionally exchanges texts, over TLS or not.
type TCP struct {
	Dialogue
	TLS *TLS `hcl:"tls,block" json:"tls,omitempty"`
}

func newTCP() Check { return &TCP{} }

// Kind implements Check.
func (*TCP) Kind() Kind { return "tcp" }

// Faults implements Check.
func (c *TCP) Faults() []Fault { return append(c.faults(), c.TLS.faults()...) }

// AppendIdentity implements Check.
func (c *TCP) AppendIdentity(b []byte) []byte { return c.TLS.appendIdentity(c.appendIdentity(b)) }

// Redacted implements Check.
func (c *TCP) Redacted() Check { return &TCP{c.redacted(), c.TLS.redacted()} }

// Security implements Secured.
func (c *TCP) Security() *TLS { return c.TLS }

// Probe implements Check. Without a dialogue and TLS, it only waits for the server's SYN-ACK, as connect(2) does, and
// responds with a reset: the server's process sees no connection and logs nothing, and neither side keeps a socket in TIME_WAIT.
func (c *TCP) Probe(s Setup) (Probe, error) {
	if c.plain() {
		return func(ctx context.Context, server netip.AddrPort) Result {
			c, err := dial(ctx, server, dialOptions{lateACK: true, reset: true, source: s.Source})
			if err != nil {
				return failed(ctx, s.Timeout, "", err)
			}
			_ = c.Close()
			return Result{OK: true, Detail: "connected"}
		}, nil
	}
	talk, err := c.compile()
	if err != nil {
		return nil, err
	}
	var config *tls.Config
	if c.TLS != nil {
		if config, err = tlsConfig(c.TLS, ""); err != nil {
			return nil, err
		}
	}
	return func(ctx context.Context, server netip.AddrPort) Result {
		conn, err := dial(ctx, server, dialOptions{lateACK: config != nil || len(talk.send) > 0, source: s.Source})
		if err != nil {
			return failed(ctx, s.Timeout, "", err)
		}
		if config == nil {
			defer conn.abort() //nolint:errcheck // nothing is left to be sent
			return talk.run(ctx, s, conn)
		}
		defer conn.Close()
		secured, err := secure(ctx, conn, config, c.TLS.SkipVerify)
		if err != nil {
			return failed(ctx, s.Timeout, "in the TLS handshake", err)
		}
		defer secured.CloseWrite() //nolint:errcheck // the server is told if it can be
		return talk.run(ctx, s, secured)
	}, nil
}

// plain reports that the connection is all that is checked.
func (c *TCP) plain() bool { return c.TLS == nil && c.Dialogue == (Dialogue{}) }

// quick implements quickCheck.
func (c *TCP) quick(s Setup) (*quick, error) {
	if !c.plain() {
		return nil, nil
	}
	return &quick{timeout: s.Timeout, source: s.Source}, nil
}

// run sends and awaits the answer.
func (c *dialogue) run(ctx context.Context, s Setup, stream io.ReadWriter) Result {
	if len(c.send) > 0 {
		if _, err := stream.Write(c.send); err != nil {
			return failed(ctx, s.Timeout, "while sending", err)
		}
	}
	if !c.expects {
		return Result{OK: true, Detail: "connected"}
	}
	err := c.await(stream)
	switch {
	case err == nil:
		return Result{OK: true, Detail: "the answer matches"}
	case errors.Is(err, errNoMatch):
		return Result{Reason: WrongBody, Detail: err.Error()}
	}
	return failed(ctx, s.Timeout, "while waiting for the answer", err)
}
