package ipvs

import (
	"context"
	"fmt"

	"github.com/lvs-ha/lvs-ha/internal/ipvsnl"
)

// Client reads and writes the kernel's table of the network namespace in which it was opened. It is safe for concurrent
// use. Each exchange with the kernel is limited by the context and to ten seconds.
type Client struct{ conn *ipvsnl.Conn }

// ErrNoIPVS reports that the kernel has no IPVS, with the remedy.
var ErrNoIPVS = ipvsnl.ErrNoIPVS

// Open connects to the kernel's table in the network namespace of the calling thread. It loads the module ip_vs if
// necessary and permitted.
func Open(ctx context.Context) (*Client, error) {
	conn, err := ipvsnl.Open(ctx)
	if err != nil {
		return nil, fmt.Errorf("opening the ipvs table: %w", explain(err, nil))
	}
	return &Client{conn: conn}, nil
}

// NewClient returns a client on an open connection.
func NewClient(conn *ipvsnl.Conn) *Client { return &Client{conn: conn} }

// Close closes the connection. It does not change the table.
func (c *Client) Close() error { return c.conn.Close() }
