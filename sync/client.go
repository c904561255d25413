package connsync

import (
	"context"
	"fmt"
	"syscall"

	"github.com/lvs-ha/lvs-ha/internal/ipvsnl"
)

// Client starts, stops and lists the kernel's sync daemons in the network namespace in which it was opened. It is safe
// for concurrent use. Each exchange with the kernel is limited by the context and to ten seconds.
type Client struct{ conn *ipvsnl.Conn }

// Open connects to the kernel in the network namespace of the calling thread.
func Open(ctx context.Context) (*Client, error) {
	conn, err := ipvsnl.Open(ctx)
	if err != nil {
		return nil, fmt.Errorf("opening the connection sync: %w", ipvsnl.Explain(err, nil))
	}
	return &Client{conn: conn}, nil
}

// NewClient returns a client on an open connection.
func NewClient(conn *ipvsnl.Conn) *Client { return &Client{conn: conn} }

// Close closes the connection. Running daemons continue.
func (c *Client) Close() error { return c.conn.Close() }

// Daemons lists the running daemons, including the kernel's defaults.
func (c *Client) Daemons(ctx context.Context) ([]Running, error) {
	answers, err := c.conn.Dump(ctx, ipvsnl.Request{Command: ipvsnl.CmdGetDaemon})
	if err != nil {
		return nil, fmt.Errorf("listing the sync daemons: %w", ipvsnl.Explain(err, nil))
	}
	var list []Running
	for _, b := range answers {
		r, err := decode(b)
		if err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, nil
}

// Start starts a daemon. The error is EEXIST if it already runs, and ENODEV if the interface does not exist.
func (c *Client) Start(ctx context.Context, role Role, d Daemon) error {
	attributes, err := encodeStart(role, d)
	if err == nil {
		err = c.conn.Do(ctx, ipvsnl.Request{Command: ipvsnl.CmdNewDaemon, Attributes: attributes})
	}
	if err != nil {
		return fmt.Errorf("starting the sync daemon %s %s: %w", role, d, ipvsnl.Explain(err, startRemedies(d)))
	}
	return nil
}

// Stop stops a daemon. The error is ESRCH if it does not run.
func (c *Client) Stop(ctx context.Context, role Role) error {
	attributes, err := encodeStop(role)
	if err == nil {
		// If the daemon's thread has not yet run, stopping it returns EINTR (kernel/kthread.c), for which netlink sends
		// no answer (net/netlink/af_netlink.c). Therefore a second request without effect follows: its answer shows that
		// the first one was processed.
		err = c.conn.Batch(ctx, []ipvsnl.Request{
			{Command: ipvsnl.CmdDelDaemon, Attributes: attributes}, {Command: ipvsnl.CmdSetConfig},
		})[0]
	}
	if err != nil {
		return fmt.Errorf("stopping the sync daemon %s: %w", role, ipvsnl.Explain(err, stopRemedies))
	}
	return nil
}

// startRemedies explains the kernel's errors (net/netfilter/ipvs/ip_vs_ctl.c, ip_vs_sync.c).
func startRemedies(d Daemon) map[syscall.Errno]string {
	return map[syscall.Errno]string{
		syscall.EEXIST:        "it is already running; stop it first",
		syscall.ENODEV:        fmt.Sprintf("no interface %s", d.Interface),
		syscall.EADDRNOTAVAIL: fmt.Sprintf("interface %s has no address, or is down", d.Interface),
		syscall.EINVAL: "the group is not a multicast address, the sync id is over 255, or a virtual service has a " +
			"tunnel to another address family, which the kernel does not allow together with sync daemons",
		syscall.EAFNOSUPPORT: "the kernel has no IPv6 for this group",
	}
}

var stopRemedies = map[syscall.Errno]string{syscall.ESRCH: "it is not running"}
