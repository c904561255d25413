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
	listenRetry = time.Second // before the socket is made again
	lookAfter   = time.Second // between two looks whether the socket is still found at its path
)

// Keep serves the API on the socket at path until ctx ends; then the channel it returns is closed. A director that cannot
// be asked, for want of a directory that can be written, still does its work: the socket is tried again and again, and
// made anew when somebody has deleted it.
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

// listen makes the socket, for root only, in place of one that an earlier director left.
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
		return nil, fmt.Errorf("closing the API socket to other users: %w", err)
	}
	return l, nil
}

var errDeleted = errors.New("somebody has deleted the API socket")

// serve answers requests until ctx ends or the socket at path has been deleted, which is an error. Requests that have
// come by then are answered.
func serve(ctx context.Context, l net.Listener, path string, d Director) error {
	server := &http.Server{
		Handler:           handler(d),
		ReadHeaderTimeout: idleTimeout,
		ReadTimeout:       requestTimeout,
		WriteTimeout:      requestTimeout + 5*time.Second,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    1 << 16,
	}
	guests := newGuests(l, connectionLimit())
	server.ConnState = guests.changed
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(guests) }()
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
			// Another file in its place is that of an lvs-ha that has made the directory its own; the parent tells of it.
			if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
				l.Close()
				<-failed
				return errDeleted
			}
		}
	}
}
