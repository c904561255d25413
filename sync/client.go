package connsync

import (
	"context"
	"fmt"
	"syscall"

	"github.com/lvs-ha/lvs-ha/internal/ipvsnl"
)

// Client starts, stops and lists the kernel's sync daemons in the network namespace that it was opened in. It is safe
// for concurrent use, and no call waits longer than its context or ten seconds for one exchange with the kernel.
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

// Close closes the connection. The daemons stay as they are.
func (c *Client) Close() error { return c.conn.Close() }

// Daemons lists the daemons that run, with what the kernel filled in.
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

// Start starts a daemon. The error of one that runs is EEXIST, that of an unknown interface ENODEV.
func (c *Client) Start(ctx context.Context, role Role, d Daemon) error {
	attributes, err := encodeStart(role, d)
	if err == nil {
		err = c.conn.Do(ctx, ipvsnl.Request{Command: ipvsnl.CmdNewDaemon, Attributes: attributes})
	}
	if err != nil {
		return fmt.Errorf("starting the sync daemon %s %s: %w", role, d, ipvsnl.Explain(err, startMends(d)))
	}
	return nil
}

// Stop stops a daemon. The error of one that does not run is ESRCH.
func (c *Client) Stop(ctx context.Context, role Role) error {
	attributes, err := encodeStop(role)
	if err == nil {
		// A daemon that has not run yet since it was started ends with EINTR (kernel/kthread.c), and netlink answers every
		// request but one that ends so (net/netlink/af_netlink.c). So only a refusal is waited for, up to the answer to a
		// second request, which changes nothing.
		err = c.conn.Batch(ctx, []ipvsnl.Request{
			{Command: ipvsnl.CmdDelDaemon, Attributes: attributes}, {Command: ipvsnl.CmdSetConfig},
		})[0]
	}
	if err != nil {
		return fmt.Errorf("stopping the sync daemon %s: %w", role, ipvsnl.Explain(err, stopMends))
	}
	return nil
}

// startMends are what the kernel's answers mean (net/netfilter/ipvs/ip_vs_ctl.c, ip_vs_sync.c).
func startMends(d Daemon) map[syscall.Errno]string {
	return map[syscall.Errno]string{
		syscall.EEXIST:        "it is already running; stop it first",
		syscall.ENODEV:        fmt.Sprintf("no interface %s", d.Interface),
		syscall.EADDRNOTAVAIL: fmt.Sprintf("interface %s has no address, or is down", d.Interface),
		syscall.EINVAL: "the group is not a multicast address, the sync id is over 255, or a virtual service has a " +
			"tunnel to another address family, which the kernel does not allow together with sync daemons",
		syscall.EAFNOSUPPORT: "the kernel has no IPv6 for this group",
	}
}

var stopMends = map[syscall.Errno]string{syscall.ESRCH: "it is not running"}
