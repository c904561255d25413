package api

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"
)

const (
	listenRetry = time.Second // before the socket is created again
	lookAfter   = time.Second // between checks that the socket still exists
)

// Keep serves the API on the socket at path until ctx ends, then closes the returned channel. A socket that cannot be
// created, for example because the directory is missing, is retried and does not stop the director. A deleted socket is
// recreated.
func Keep(ctx context.Context, path string, d Director, log *slog.Logger) (ended <-chan struct{}) {
	l, err := listen(path)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for complaint := ""; ; l, err = listen(path) {
			if err == nil {
				complaint = ""
				err = serve(ctx, l, path, d)
			}
			if err != nil && err.Error() != complaint {
				complaint = err.Error()
				log.Error("API not available: status, reload and plan do not work; retrying", "error", err)
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

// listen creates the socket, for root only, replacing that of an earlier director.
func listen(path string) (net.Listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("removing the old API socket: %w", err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("listening for the API: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, fmt.Errorf("setting the mode of the API socket: %w", err)
	}
	return l, nil
}

var errDeleted = errors.New("API socket deleted")

// serve serves requests until ctx ends or the socket at path is deleted, which is an error. Requests received before that
// are completed.
func serve(ctx context.Context, l net.Listener, path string, d Director) error {
	server := &http.Server{
		Handler:           handler(d),
		ReadHeaderTimeout: idleTimeout,
		ReadTimeout:       requestTimeout,
		WriteTimeout:      requestTimeout + 5*time.Second,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    1 << 16,
		ConnContext:       withConnection,
	}
	limiter := newLimiter(l, connectionLimit())
	server.ConnState = limiter.changed
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(limiter) }()
	look := time.NewTicker(lookAfter)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			server.Close()
			<-failed
			return nil
		case err := <-failed:
			return fmt.Errorf("serving the API: %w", err)
		case <-look.C:
			// A different file there belongs to an lvs-ha that took over the directory; the parent reports that.
			if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
				l.Close()
				<-failed
				return errDeleted
			}
		}
	}
}
