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
	"os/user"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/capability"
)

const (
	listenRetry  = time.Second     // before a socket is opened again
	lookAfter    = time.Second     // between checks that the Unix socket still exists
	replacedWait = 5 * time.Second // for the requests of a listener that a new configuration ends
)

// DefaultGroup is the group whose members may read, if it exists and the configuration names no other.
const DefaultGroup = "lvs-ha"

// Pages are what is served besides the API to those who may read, by path.
type Pages map[string]http.Handler

// Listeners serve the API on a Unix socket, and on the TCP addresses of the configuration.
type Listeners struct {
	path    string
	d       Director
	pages   Pages
	sockets *sockets
	report  func(address string, err error)
	log     *slog.Logger
	mu      sync.Mutex      // held while an address is reported, so that a replaced one does not report after its successor
	wanted  chan config.API // the latest
	ended   chan struct{}
}

// Listen serves the API on the Unix socket at path, and on the addresses given to Configure, until ctx ends. A socket that
// cannot be opened, for example because its directory or its address is missing, is retried and does not stop the director.
// report is told why a TCP address is not served, and nil when it is again or is no longer wanted. A failure of the Unix socket is
// logged.
func Listen(ctx context.Context, path string, d Director, pages Pages, kept Kept, report func(address string, err error), log *slog.Logger) *Listeners {
	s := &Listeners{
		path: path, d: d, pages: pages, sockets: newSockets(kept, log), report: report, log: log,
		wanted: make(chan config.API, 1), ended: make(chan struct{}),
	}
	local := &unixSocket{path: path, sockets: s.sockets, log: log}
	for name := range kept.Inherited {
		if group, ok := strings.CutPrefix(name, unixName); ok {
			local.group = group
		}
	}
	first := make(chan struct{}) // the attempt to open the Unix socket is over
	go s.run(ctx, local, sync.OnceFunc(func() { close(first) }))
	<-first
	return s
}

// Wait waits until ctx has ended and nothing is served any more.
func (s *Listeners) Wait() { <-s.ended }

// Configure sets who may use the API. It does not wait, and must not be called concurrently.
func (s *Listeners) Configure(c config.API) {
	select {
	case <-s.wanted:
	default:
	}
	s.wanted <- c
}

// endpoint is a place where the API is available.
type endpoint interface {
	name() string
	socket() string // its name in sockets
	open() (net.Listener, error)
	identify(r *http.Request) (caller, error)
	isLost() bool // has to be opened again
}

var errReplaced = errors.New("replaced by a new configuration")

// run keeps the endpoints of the configuration open. It calls opened when local, which is there before the first configuration,
// is open or cannot be opened.
func (s *Listeners) run(ctx context.Context, local *unixSocket, opened func()) {
	defer close(s.ended)
	defer s.sockets.release(s.path)
	running := map[any]context.CancelCauseFunc{} // by what the configuration says of the endpoint
	var serving sync.WaitGroup
	defer serving.Wait()
	start := func(key any, e endpoint) {
		endpointCtx, stop := context.WithCancelCause(ctx)
		running[key] = stop
		serving.Go(func() { s.keep(endpointCtx, e, opened) })
	}
	start(local.group, local)
	follow := func(c config.API) {
		wanted := map[any]endpoint{c.Group: &unixSocket{path: s.path, group: c.Group, sockets: s.sockets, log: s.log}}
		for _, l := range c.Listen {
			wanted[l] = newTCPAddress(l, s.sockets)
		}
		names := map[string]bool{}
		for _, e := range wanted {
			names[e.socket()] = true
		}
		for key, stop := range running {
			if wanted[key] == nil {
				s.replace(key, stop)
				delete(running, key)
			}
		}
		s.sockets.retain(names)
		for key, e := range wanted {
			if running[key] == nil {
				start(key, e)
			}
		}
	}
	for {
		select {
		case <-ctx.Done():
			return
		case c := <-s.wanted:
			follow(c)
		}
	}
}

// keep serves the API at an endpoint until ctx ends. It calls opened after each attempt to open it.
func (s *Listeners) keep(ctx context.Context, e endpoint, opened func()) {
	complaint := ""
	for first := true; ; first = false {
		l, err := e.open()
		opened()
		if err == nil {
			if complaint != "" {
				complaint = ""
				s.tell(ctx, e, nil)
			}
			err = s.serve(ctx, l, e)
		}
		releasing := first && errors.Is(err, unix.EADDRINUSE) // by the director that this one replaces
		if err != nil && err.Error() != complaint && !releasing {
			complaint = err.Error()
			s.tell(ctx, e, err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(listenRetry):
		}
	}
}

// tell reports why an endpoint is not served, or with nil that it is again.
func (s *Listeners) tell(ctx context.Context, e endpoint, err error) {
	if _, local := e.(*unixSocket); local {
		if err != nil {
			s.log.Error("API socket not available; retrying", "at", e.name(), "error", err)
		}
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() == nil {
		s.report(e.name(), err)
	}
}

// replace ends an endpoint that the configuration no longer has, and what was reported of it.
func (s *Listeners) replace(key any, stop context.CancelCauseFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	stop(errReplaced)
	if l, ok := key.(config.APIListen); ok {
		s.report(l.Address.String(), nil)
	}
}

var errDeleted = errors.New("API socket deleted")

// serve serves requests until ctx ends or the endpoint is lost, which is an error. Requests received before that are completed,
// unless the director stops.
func (s *Listeners) serve(ctx context.Context, l net.Listener, e endpoint) error {
	server := &http.Server{
		Handler:           handler(s.d, s.pages, e.identify, ctx.Done()),
		ReadHeaderTimeout: idleTimeout,
		ReadTimeout:       requestTimeout,
		WriteTimeout:      requestTimeout + 5*time.Second,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    1 << 16,
		ConnContext:       withConnection,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
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
			if errors.Is(context.Cause(ctx), errReplaced) {
				complete, cancel := context.WithTimeout(context.WithoutCancel(ctx), replacedWait)
				defer cancel()
				_ = server.Shutdown(complete)
			}
			server.Close()
			<-failed
			return nil
		case err := <-failed:
			return fmt.Errorf("serving the API: %w", err)
		case <-look.C:
			if e.isLost() {
				l.Close()
				<-failed
				return errDeleted
			}
		}
	}
}

// unixSocket is the endpoint in the runtime directory: for root and, reading, for a group.
type unixSocket struct {
	path, group string
	sockets     *sockets
	log         *slog.Logger
}

const unixName = "unix " // with a group, the name of a socket

func (u *unixSocket) socket() string { return unixName + u.group }

func (u *unixSocket) name() string { return u.path }

func (u *unixSocket) identify(r *http.Request) (caller, error) { return localCaller(r) }

// isLost reports whether the socket was deleted. A different file there belongs to an lvs-ha that took over the directory; the
// parent reports that.
func (u *unixSocket) isLost() bool {
	_, err := os.Stat(u.path)
	return errors.Is(err, fs.ErrNotExist)
}

// open continues with the socket of an earlier director if it is as it should be, or replaces it.
func (u *unixSocket) open() (net.Listener, error) {
	mode := fs.FileMode(0o600)
	gid, err := u.gid()
	if err == nil && gid >= 0 {
		mode = 0o660
	}
	if err != nil {
		u.log.Error("API for root only", "group", u.group, "error", err)
	}
	var made unix.Stat_t
	if err := unix.Lstat(u.path, &made); err != nil || made.Mode != unix.S_IFSOCK|uint32(mode) || gid >= 0 && int(made.Gid) != gid {
		u.sockets.discard(u.socket())
	}
	return u.sockets.listener(u.socket(), func() (net.Listener, error) { return u.create(gid, mode) })
}

func (u *unixSocket) create(gid int, mode fs.FileMode) (net.Listener, error) {
	if err := os.Remove(u.path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("removing the old API socket: %w", err)
	}
	l, err := listenAs(gid, u.path)
	if err != nil {
		return nil, fmt.Errorf("listening for the API: %w", err)
	}
	l.SetUnlinkOnClose(false) // it is the same socket as that of other listeners
	if err := os.Chmod(u.path, mode); err != nil {
		l.Close()
		return nil, fmt.Errorf("setting the mode of the API socket: %w", err)
	}
	return l, nil
}

// gid returns the number of the group that may read, -1 if there is none.
func (u *unixSocket) gid() (int, error) {
	name := u.group
	if name == "" {
		name = DefaultGroup
	}
	g, err := user.LookupGroup(name)
	if err != nil {
		if u.group == "" {
			return -1, nil
		}
		return -1, fmt.Errorf("looking up the group: %w", err)
	}
	return strconv.Atoi(g.Gid)
}

// listenAs creates a socket that belongs to a group, unless gid is negative. CAP_CHOWN, which the director does not have,
// would be needed to give it away; a file that a thread creates belongs to its file system group (setfsgid(2)), for which
// CAP_SETGID is enough.
func listenAs(gid int, path string) (l *net.UnixListener, err error) {
	address := &net.UnixAddr{Name: path, Net: "unix"}
	if gid < 0 {
		return net.ListenUnix("unix", address)
	}
	done := make(chan struct{})
	capability.OnOwnThread(func() {
		defer close(done)
		if thread, failed := capability.OfThread(); failed == nil {
			thread.Effective |= thread.Permitted & capability.Of(unix.CAP_SETGID)
			_ = thread.Apply() // then setfsgid has no effect
		}
		_, _ = unix.SetfsgidRetGid(gid)
		l, err = net.ListenUnix("unix", address)
	})
	<-done
	if err != nil {
		return nil, err
	}
	var made unix.Stat_t
	if err := unix.Stat(path, &made); err == nil && int(made.Gid) != gid {
		l.Close()
		return nil, fmt.Errorf("giving the API socket to group %d: not permitted (CAP_SETGID is missing)", gid)
	}
	return l, nil
}
