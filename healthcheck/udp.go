package healthcheck

import (
	"context"
	"errors"
	"net/netip"
)

// UDP is a check that sends a datagram. Without an expected answer, only an ICMP error is a failure.
type UDP struct{ Dialogue }

func newUDP() Check { return &UDP{} }

// Kind implements Check.
func (*UDP) Kind() Kind { return "udp" }

// Faults implements Check.
func (c *UDP) Faults() []Fault { return c.faults() }

// AppendIdentity implements Check.
func (c *UDP) AppendIdentity(b []byte) []byte { return c.appendIdentity(b) }

// Redacted implements Check.
func (c *UDP) Redacted() Check { return &UDP{c.redacted()} }

// Probe implements Check.
func (c *UDP) Probe(s Setup) (Probe, error) {
	talk, err := c.compile()
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, server netip.AddrPort) Result {
		conn, err := dial(ctx, server, dialOptions{network: overUDP, source: s.Source})
		if err != nil {
			return failed(ctx, s.Timeout, "", err)
		}
		defer conn.Close()
		if _, err := conn.Write(talk.send); err != nil {
			return failed(ctx, s.Timeout, "while sending", err)
		}
		answer := make([]byte, maxAnswer)
		n, err := conn.readDatagram(answer)
		switch {
		case err != nil && !talk.expects && errors.Is(ctx.Err(), context.DeadlineExceeded):
			return Result{OK: true, Detail: "no answer, and no ICMP error"}
		case err != nil:
			return failed(ctx, s.Timeout, "while waiting for the answer", err)
		case talk.expects && !talk.match(answer[:n]):
			return Result{Reason: WrongBody, Detail: errNoMatch.Error()}
		}
		return Result{OK: true, Detail: "answered"}
	}, nil
}
