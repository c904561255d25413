package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"strings"
	"syscall"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/explain"
)

// ErrNotRunning means that no director serves the socket.
var ErrNotRunning = errors.New("lvs-ha is not running")

// ErrNoAnswer means that a director is running but does not respond in time.
var ErrNoAnswer = errors.New("no answer")

// statusTimeout limits a status request. The director responds within seconds even if the kernel does not.
const statusTimeout = 15 * time.Second

// A client that waits for an absent director tries again after absentRetry, for absentWait at most.
const (
	absentRetry = 10 * time.Millisecond
	absentWait  = 3 * time.Second
)

// Client is a client of a director's API socket.
type Client struct {
	// Expected reports whether a director will serve the socket soon if none does: one director replaces another after a crash,
	// or in an upgrade. The client then waits for it, and repeats a GET request that was cut off. nil: never.
	Expected func() bool

	socket string
	http   *http.Client
}

// NewClient returns a client of the API socket at a path. It connects for each request.
func NewClient(socket string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "unix", socket)
	}
	return &Client{socket: socket, http: &http.Client{
		Timeout:   requestTimeout + 10*time.Second,
		Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true},
	}}
}

// Status returns the director's status.
func (c *Client) Status(ctx context.Context) (Status, error) {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	var s Status
	return s, c.do(ctx, http.MethodGet, "/v1/status", nil, &s)
}

// Overview returns the director's condensed status.
func (c *Client) Overview(ctx context.Context) (Overview, error) {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	var o Overview
	return o, c.do(ctx, http.MethodGet, "/v1/overview", nil, &o)
}

// Explain explains the last transition of an instance, or of all, until a time.
func (c *Client) Explain(ctx context.Context, instance string, until time.Time) (explain.Story, error) {
	var s explain.Story
	query := url.Values{"instance": {instance}, "until": {until.UTC().Format(time.RFC3339)}}
	return s, c.do(ctx, http.MethodGet, "/v1/explain?"+query.Encode(), nil, &s)
}

// Reload makes the director load its configuration again. If the configuration is rejected, the error has its findings and
// the old configuration remains in use.
func (c *Client) Reload(ctx context.Context) (Reloaded, error) {
	var r Reloaded
	return r, c.do(ctx, http.MethodPost, "/v1/reload", nil, &r)
}

// Plan returns what applying a configuration would change. It changes nothing.
func (c *Client) Plan(ctx context.Context, cfg *config.Config) (Plan, error) {
	var p Plan
	return p, c.do(ctx, http.MethodPost, "/v1/plan", cfg, &p)
}

// PlanReload returns what Reload would change now. It changes nothing.
func (c *Client) PlanReload(ctx context.Context) (Plan, error) {
	var p Plan
	return p, c.do(ctx, http.MethodPost, "/v1/plan", nil, &p)
}

func (c *Client) do(ctx context.Context, method, path string, body, into any) error {
	var text bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&text).Encode(body); err != nil {
			return fmt.Errorf("encoding the request %s %s: %w", method, path, err)
		}
	}
	for limit := time.Now().Add(absentWait); ; {
		err := c.try(ctx, method, path, text.Bytes(), into)
		repeat := errors.Is(err, ErrNotRunning) || errors.Is(err, errCut) && method == http.MethodGet
		if !repeat || c.Expected == nil || !c.Expected() || time.Now().After(limit) {
			return err
		}
		select {
		case <-time.After(absentRetry):
		case <-ctx.Done():
			return err
		}
		reflect.ValueOf(into).Elem().SetZero()
	}
}

// try makes a request once.
func (c *Client) try(ctx context.Context, method, path string, body []byte, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, "http://lvs-ha"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return c.explain(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		var f failure
		if err := json.NewDecoder(resp.Body).Decode(&f); err != nil || f.Error == "" {
			return fmt.Errorf("%s %s: the director responded %s", method, path, resp.Status)
		}
		return &Error{Status: resp.StatusCode, Findings: f.Findings, More: f.More, Err: errors.New(f.Error)}
	}
	err = json.NewDecoder(resp.Body).Decode(into)
	if wasCut(err) {
		return c.explain(err)
	}
	if err != nil {
		return fmt.Errorf("reading the director's response to %s %s: %w", method, path, err)
	}
	return nil
}

// errCut means that the director ended during a request.
var errCut = errors.New("the director closed the connection")

func wasCut(err error) bool {
	const closed = "server closed idle connection" // before the request was sent; package http does not export this error
	return err != nil && strings.Contains(err.Error(), closed) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

func (c *Client) explain(err error) error {
	switch {
	case errors.Is(err, os.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w: nothing listens on %s (start it with `systemctl start lvs-ha` or `lvs-ha run`, or set --runtime-dir to that of the running one)", ErrNotRunning, c.socket)
	case wasCut(err):
		return fmt.Errorf("%w on %s before it answered: it may be restarting; try again", errCut, c.socket)
	case isTimeout(err):
		return fmt.Errorf("%w on %s in time: the director is running, but busy, stopped or hung; check its log. "+
			"The process \"lvs-ha director\" can be killed safely: it is restarted at once", ErrNoAnswer, c.socket)
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("permission denied on %s: run as root, or to read, as a member of the group of the API (lvs-ha)", c.socket)
	}
	return fmt.Errorf("connecting to lvs-ha on %s: %w", c.socket, err)
}

func isTimeout(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}
