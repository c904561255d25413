package healthcheck

import (
	"context"
	"encoding/binary"
	"errors"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Ping is a check that sends an ICMP echo request. It has no parameters.
type Ping struct{}

func newPing() Check { return &Ping{} }

// Kind implements Check.
func (*Ping) Kind() Kind { return "ping" }

// Faults implements Check.
func (*Ping) Faults() []Fault { return nil }

// AppendIdentity implements Check.
func (*Ping) AppendIdentity(b []byte) []byte { return b }

// Redacted implements Check.
func (c *Ping) Redacted() Check { return c }

// NeedsNoPort reports that the check works without a port.
func (*Ping) NeedsNoPort() {}

// errNoPing is the error where ping_group_range does not include the group of this process.
var errNoPing = shortage("the kernel permits no pings; run: sysctl -w net.ipv4.ping_group_range=\"0 0\"")

// ICMP types (RFC 792, RFC 4443).
const (
	echoRequest4, echoReply4 = 8, 0
	echoRequest6, echoReply6 = 128, 129
)

// Probe implements Check. The kernel fills in the identifier and the checksum, and returns only the answers to this socket.
func (*Ping) Probe(s Setup) (Probe, error) {
	return func(ctx context.Context, server netip.AddrPort) Result {
		conn, err := dial(ctx, server, dialOptions{network: overICMP, source: s.Source})
		if errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) {
			err = errNoPing
		}
		if err != nil {
			return failed(ctx, s.Timeout, "", err)
		}
		defer conn.Close()
		request, reply := byte(echoRequest4), byte(echoReply4)
		if server.Addr().Unmap().Is6() {
			request, reply = echoRequest6, echoReply6
		}
		const sequence = 1
		message := make([]byte, 8, 64)
		message[0] = request
		binary.BigEndian.PutUint16(message[6:], sequence)
		if _, err := conn.Write(message); err != nil {
			return failed(ctx, s.Timeout, "while sending", err)
		}
		for {
			n, err := conn.Read(message[:cap(message)])
			if err != nil {
				return failed(ctx, s.Timeout, "", err)
			}
			if n >= 8 && message[0] == reply && binary.BigEndian.Uint16(message[6:]) == sequence {
				return Result{OK: true, Detail: "answered"}
			}
		}
	}, nil
}
