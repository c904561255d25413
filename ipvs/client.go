package ipvs

import (
	"context"
	"fmt"

	"github.com/lvs-ha/lvs-ha/internal/ipvsnl"
)

// Client reads and writes the kernel's table of the network namespace that it was opened in. It is safe for concurrent
// use, and no call waits longer than its context or ten seconds for one exchange with the kernel.
type Client struct{ conn *ipvsnl.Conn }

// ErrNoIPVS says that the kernel has no IPVS, and what to do about it.
var ErrNoIPVS = ipvsnl.ErrNoIPVS

// Open connects to the kernel's table in the network namespace of the calling thread, and loads the module ip_vs if it
// is not there yet and loading is permitted.
func Open(ctx context.Context) (*Client, error) {
	conn, err := ipvsnl.Open(ctx)
	if err != nil {
		return nil, fmt.Errorf("opening the ipvs table: %w", explain(err, nil))
	}
	return &Client{conn: conn}, nil
}

// NewClient returns a client on an open connection.
func NewClient(conn *ipvsnl.Conn) *Client { return &Client{conn: conn} }

// Close closes the connection. The table stays as it is.
func (c *Client) Close() error { return c.conn.Close() }
