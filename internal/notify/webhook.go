package notify

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// webhook posts each message as JSON.
type webhook struct {
	config config.NotifyWebhook
	node   string
	client *http.Client
}

// Delays between attempts double from the first to the longest.
const (
	retryFirst = time.Second
	retryMost  = 30 * time.Second
)

// payload is the body of a request. Its field names are stable, since programs parse them.
type payload struct {
	Event    string      `json:"event"` // "transition", "pool", or "lost"
	Node     string      `json:"node"`
	Type     string      `json:"type,omitempty"` // "INSTANCE" or "GROUP"; "SERVICE" or "SERVER" of a pool
	Name     string      `json:"name,omitempty"`
	State    string      `json:"state,omitempty"`  // "MASTER", "BACKUP", "FAULT" or "STOP"; "UP" or "DOWN" of a pool
	Server   string      `json:"server,omitempty"` // of the service Name
	Priority uint8       `json:"priority"`
	From     vrrp.State  `json:"from,omitempty"`
	To       vrrp.State  `json:"to,omitempty"`
	Reason   vrrp.Reason `json:"reason,omitempty"`
	Time     time.Time   `json:"time"`
	Series   string      `json:"series"`
	Sequence uint64      `json:"sequence"` // with type and series, identifies a message that is delivered again
	Lost     uint64      `json:"lost,omitempty"`
}

func newWebhook(c config.NotifyWebhook, node string) *webhook {
	transport := &http.Transport{
		DialContext:     (&net.Dialer{}).DialContext,
		TLSClientConfig: trust(c.Authorities),
		IdleConnTimeout: time.Minute,
		MaxIdleConns:    1,
	}
	return &webhook{config: c, node: node, client: &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// trust returns a TLS configuration with the given authorities in PEM, or the system's.
func trust(authorities string) *tls.Config {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if authorities != "" {
		c.RootCAs = x509.NewCertPool()
		c.RootCAs.AppendCertsFromPEM([]byte(authorities))
	}
	return c
}

func (*webhook) most() int              { return 1 }
func (*webhook) pace() time.Duration    { return 0 }
func (w *webhook) wants(m Message) bool { return m.chosen(w.config.Events) && !m.upFromStart() }
func (w *webhook) close()               { w.client.CloseIdleConnections() }

func (w *webhook) deliver(ctx context.Context, batch []Message) error {
	m := batch[0]
	p := payload{Event: "transition", Node: w.node, Time: m.Time, Series: m.Series, Sequence: m.Sequence, Lost: m.Lost}
	switch {
	case m.Lost > 0:
		p.Event = "lost"
	case m.Pool != nil:
		p.Event, p.Type, p.Name, p.State, p.Reason = "pool", m.kind(), m.Pool.Service, m.State, vrrp.Reason(m.Pool.Reason)
		if m.Pool.Server != nil {
			p.Server = netip.AddrPortFrom(m.Pool.Server.Address, m.Pool.Server.Port).String()
		}
	default:
		p.Type, p.Name, p.State, p.Priority, p.From, p.To, p.Reason = m.kind(), m.Instance, m.State, m.priority(), m.From, m.To, m.Reason
	}
	body, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return retry(ctx, w.config.Retries, func() error { return w.post(ctx, body) })
}

// errFinal wraps an error for which a retry is pointless.
type errFinal struct{ error }

// retry makes an attempt, and retries after errors.
func retry(ctx context.Context, retries int, attempt func() error) error {
	for delay := retryFirst; ; delay = min(2*delay, retryMost) {
		err := attempt()
		if final, ok := errors.AsType[errFinal](err); ok {
			return final.error
		}
		if err == nil || retries == 0 || ctx.Err() != nil {
			return err
		}
		retries--
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return err
		}
	}
}

func (w *webhook) post(ctx context.Context, body []byte) error {
	ctx, cancel := context.WithTimeoutCause(ctx, w.config.Timeout, fmt.Errorf("no answer within %v", w.config.Timeout))
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.config.URL.Reveal(), bytes.NewReader(body))
	if err != nil {
		return errFinal{errors.New("the URL is not valid")} // the error contains it
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "lvs-ha")
	for _, h := range w.config.Headers {
		request.Header.Set(h.Name, h.Value.Reveal())
	}
	answer, err := w.client.Do(request)
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return errors.Unwrap(err) // without the URL, which may contain a secret
	}
	defer answer.Body.Close()
	_, _ = io.CopyN(io.Discard, answer.Body, 64<<10) // allows reuse of the connection
	switch code := answer.StatusCode; {
	case code/100 == 2:
		return nil
	case code == http.StatusRequestTimeout, code == http.StatusTooManyRequests, code/100 == 5:
		return fmt.Errorf("status %d", code)
	default:
		return errFinal{fmt.Errorf("status %d", code)}
	}
}
