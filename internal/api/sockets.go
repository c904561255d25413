package api

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Kept are the listening sockets that another process keeps, so that connections wait in the kernel while one director replaces
// another.
type Kept struct {
	Inherited map[string]int                  // descriptors from the director before, by name
	Keep      func(name string, fd int) error // nil: nobody keeps them
	Drop      func(name string)
}

// sockets are the listening sockets of this process, by name. They stay open when a listener is closed, so that an endpoint whose
// configuration changes continues with the same socket.
type sockets struct {
	kept Kept
	log  *slog.Logger

	mu     sync.Mutex
	open   map[string]int  // descriptors
	wanted map[string]bool // nil: all
}

func newSockets(kept Kept, log *slog.Logger) *sockets {
	s := &sockets{kept: kept, log: log, open: map[string]int{}}
	for name, fd := range kept.Inherited {
		s.open[name] = fd
	}
	return s
}

// listener returns a listener on the socket of a name, which create creates if there is none.
func (s *sockets) listener(name string, create func() (net.Listener, error)) (net.Listener, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if fd, ok := s.open[name]; ok {
		return listenerOf(name, fd)
	}
	l, err := create()
	if err != nil {
		return nil, err
	}
	if s.wanted != nil && !s.wanted[name] {
		return l, nil // its endpoint has been stopped
	}
	fd, err := duplicate(l)
	if err != nil {
		l.Close()
		return nil, err
	}
	s.open[name] = fd
	if s.kept.Keep == nil {
		return l, nil
	}
	if err := s.kept.Keep(name, fd); err != nil {
		s.log.Debug("API socket not kept by the parent process: connections will be refused while the director is replaced", "at", name, "error", err)
	}
	return l, nil
}

// discard closes the socket of a name, if there is one.
func (s *sockets) discard(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.close(name)
}

// retain closes all sockets except those of the given names.
func (s *sockets) retain(wanted map[string]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wanted = wanted
	for name := range s.open {
		if !wanted[name] {
			s.close(name)
		}
	}
}

// close closes a socket for good. The caller holds s.mu.
func (s *sockets) close(name string) {
	fd, ok := s.open[name]
	if !ok {
		return
	}
	unix.Close(fd)
	delete(s.open, name)
	if s.kept.Drop != nil {
		s.kept.Drop(name)
	}
}

// release closes the sockets in this process only, and removes the file of the Unix socket.
func (s *sockets) release(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, fd := range s.open {
		if strings.HasPrefix(name, unixName) {
			_ = os.Remove(path)
		}
		unix.Close(fd)
	}
	clear(s.open)
}

// listenerOf returns a listener on a duplicate of a socket.
func listenerOf(name string, fd int) (net.Listener, error) {
	second, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, fmt.Errorf("duplicating the API's socket: %w", err)
	}
	f := os.NewFile(uintptr(second), name)
	defer f.Close()
	l, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("using the API's socket again: %w", err)
	}
	return l, nil
}

func duplicate(l net.Listener) (fd int, err error) {
	raw, err := l.(syscall.Conn).SyscallConn()
	if err != nil {
		return -1, fmt.Errorf("duplicating the API's socket: %w", err)
	}
	failed := raw.Control(func(own uintptr) { fd, err = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 3) })
	return fd, errors.Join(failed, err)
}
