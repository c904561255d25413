package healthcheck

import (
	"context"
	"net/netip"
)

// tcpFaults finds none: a TCP check has no settings of its own.
func tcpFaults(Spec) []Fault { return nil }

// newTCP makes the probe that connects. It is content with the server's SYN-ACK, which is all that connect(2) ever
// waits for, and answers with a reset: the server's process sees no connection, logs nothing, and no side is left with
// a socket in TIME_WAIT.
func newTCP(spec Spec) (Probe, error) {
	return func(ctx context.Context, server netip.AddrPort) Result {
		c, err := dial(ctx, server, dialOptions{lateACK: true, reset: true})
		if err != nil {
			return failed(ctx, spec.Timeout, "", err)
		}
		_ = c.Close()
		return Result{OK: true, Detail: "connected"}
	}, nil
}
