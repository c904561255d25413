package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
)

// Director is what the API asks of a running director.
type Director interface {
	Status(ctx context.Context) (Status, error)
	Reload(ctx context.Context) error
	Plan(ctx context.Context, cfg *config.Config) (Plan, error) // of its own file, as it is now, if cfg is nil
}

// requestTimeout bounds every request, however slow its client.
const requestTimeout = 30 * time.Second

// maxRequest bounds the body of a request, which is a configuration at most. One of 40,000 real servers has 20 MB.
const maxRequest = 256 << 20

// failure is the body of an answer that is not 2xx.
type failure struct {
	Error string `json:"error"`
}

// Listen makes the API's Unix socket, for root only, in place of one that an earlier director left.
func Listen(path string) (net.Listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("removing the old API socket: %w", err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("listening for the API: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, fmt.Errorf("closing the API socket to other users: %w", err)
	}
	return l, nil
}

// listenRetry is the pause before the socket is tried again.
const listenRetry = time.Second

// Keep serves the API on the socket at path until ctx ends; then the channel it returns is closed. A director that cannot
// be asked, for want of a directory that can be written, still does its work: the socket is tried again and again.
func Keep(ctx context.Context, path string, d Director, log *slog.Logger) (ended <-chan struct{}) {
	l, err := Listen(path)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for said := ""; ; l, err = Listen(path) {
			if err == nil {
				said = ""
				err = Serve(ctx, l, d)
			}
			if err != nil && err.Error() != said {
				said = err.Error()
				log.Error("no API: status, reload and plan do not reach this lvs-ha; trying again", "error", err)
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(listenRetry):
			}
		}
	}()
	return done
}

// Serve answers requests on l until ctx ends.
func Serve(ctx context.Context, l net.Listener, d Director) error {
	server := &http.Server{
		Handler:           handler(d),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       requestTimeout,
		WriteTimeout:      requestTimeout + 5*time.Second,
		IdleTimeout:       requestTimeout,
		MaxHeaderBytes:    1 << 16,
	}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving the API: %w", err)
	}
	return nil
}

func handler(d Director) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
		defer cancel()
		status, err := d.Status(ctx)
		answer(w, status, err)
	})
	mux.HandleFunc("POST /v1/reload", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
		defer cancel()
		answer(w, struct{}{}, d.Reload(ctx))
	})
	mux.HandleFunc("POST /v1/plan", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
		defer cancel()
		cfg, err := posted(http.MaxBytesReader(w, r.Body, maxRequest))
		if err != nil {
			answer(w, nil, err)
			return
		}
		plan, err := d.Plan(ctx, cfg)
		answer(w, plan, err)
	})
	return mux
}

// posted reads the configuration in a request, or nil if there is none.
func posted(body io.Reader) (*config.Config, error) {
	var cfg config.Config
	decoder := json.NewDecoder(body)
	decoder.DisallowUnknownFields()
	err := decoder.Decode(&cfg)
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the configuration to plan: %w (is this program newer than the running lvs-ha?)", err)
	}
	return &cfg, nil
}

func answer(w http.ResponseWriter, body any, err error) {
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		w.WriteHeader(http.StatusUnprocessableEntity)
		body = failure{err.Error()}
	}
	json.NewEncoder(w).Encode(body)
}
