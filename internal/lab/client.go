package lab

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// Client uses the service from a host.
type Client struct {
	host *Node
	http *http.Client
}

// Client creates a client in the host. It trusts the pool's certificates, or the system's if that is nil.
func (h *Node) Client(trusted *x509.CertPool) *Client {
	return &Client{host: h, http: &http.Client{
		Transport: &http.Transport{
			DialContext:       h.DialContext,
			DisableKeepAlives: true,
			TLSClientConfig:   &tls.Config{RootCAs: trusted},
			ForceAttemptHTTP2: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Reply is an answer to Get.
type Reply struct {
	Status int
	Server string // the server that answered, from ServerHeader
	Body   string
	Took   time.Duration
}

// Get fetches a URL over a new connection.
func (c *Client) Get(ctx context.Context, url string) (Reply, error) {
	start := time.Now()
	resp, err := c.get(ctx, url)
	if err != nil {
		return Reply{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return Reply{}, fmt.Errorf("get %s: read body: %w", url, err)
	}
	return Reply{
		Status: resp.StatusCode, Server: resp.Header.Get(ServerHeader),
		Body: strings.TrimSpace(string(body)), Took: time.Since(start),
	}, nil
}

func (c *Client) get(ctx context.Context, url string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	return c.http.Do(req)
}

// Spread fetches a URL n times in sequence and counts the answers by server. It stops at the first error.
func (c *Client) Spread(ctx context.Context, n int, url string) (map[string]int, error) {
	servers := map[string]int{}
	for range n {
		r, err := c.Get(ctx, url)
		if err != nil {
			return servers, err
		}
		if r.Status != http.StatusOK {
			return servers, fmt.Errorf("get %s: status %d from %s", url, r.Status, r.Server)
		}
		servers[r.Server]++
	}
	return servers, nil
}
