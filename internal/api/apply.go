package api

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// ApplyRequest reloads the configuration. Unless it is confirmed in time, the director goes back to the one before.
type ApplyRequest struct {
	Confirm Duration `json:"confirm"` // the time to confirm it

	By string `json:"-"` // the caller, from its credentials
}

// Limits of the time to confirm a configuration.
const (
	minConfirm = time.Second
	maxConfirm = 24 * time.Hour
)

// Check returns what is wrong with a request.
func (r ApplyRequest) Check() error {
	if within := time.Duration(r.Confirm); within < minConfirm || within > maxConfirm {
		return fmt.Errorf("the time to confirm is %s, it must be from %s to %s", within, minConfirm, maxConfirm)
	}
	return nil
}

// ConfirmRequest keeps the configuration that waits for it.
type ConfirmRequest struct {
	Undo bool `json:"undo,omitempty"` // go back now instead

	By string `json:"-"` // the caller, from its credentials
}

// Apply makes the director load its configuration again, and go back unless Confirm follows in time.
func (c *Client) Apply(ctx context.Context, request ApplyRequest) (Reloaded, error) {
	var r Reloaded
	return r, c.do(ctx, http.MethodPost, "/v1/apply", request, &r)
}

// InForce returns which configuration is in force, and whether it must be confirmed.
func (c *Client) InForce(ctx context.Context) (Config, error) {
	var cfg Config
	return cfg, c.do(ctx, http.MethodGet, "/v1/confirm", nil, &cfg)
}

// Confirm keeps the configuration that waits for it, or goes back. It returns the configuration that is then in force.
func (c *Client) Confirm(ctx context.Context, request ConfirmRequest) (Config, error) {
	var cfg Config
	return cfg, c.do(ctx, http.MethodPost, "/v1/confirm", request, &cfg)
}
