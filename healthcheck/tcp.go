package healthcheck

import (
	"context"
	"net/netip"
)

// TCP is a check that connects. It has no parameters.
type TCP struct{}

func newTCP() Check { return &TCP{} }

// Kind implements Check.
func (*TCP) Kind() Kind { return "tcp" }

// Faults implements Check.
func (*TCP) Faults() []Fault { return nil }

// AppendIdentity implements Check.
func (*TCP) AppendIdentity(b []byte) []byte { return b }

// Redacted implements Check.
func (c *TCP) Redacted() Check { return c }

// Probe implements Check. It only waits for the server's SYN-ACK, as connect(2) does, and responds with a reset: the
// server's process sees no connection and logs nothing, and neither side keeps a socket in TIME_WAIT.
func (*TCP) Probe(s Setup) (Probe, error) {
	return func(ctx context.Context, server netip.AddrPort) Result {
		c, err := dial(ctx, server, dialOptions{lateACK: true, reset: true, source: s.Source})
		if err != nil {
			return failed(ctx, s.Timeout, "", err)
		}
		_ = c.Close()
		return Result{OK: true, Detail: "connected"}
	}, nil
}
