package supervisor

import (
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// SpeakerSocket is the socket between speaker and director. The parent creates it once: while a speaker is being
// restarted, the director's connection waits in it. It has a path only while it is created, so that the path cannot be
// deleted later: the workers inherit both ends.
type SpeakerSocket struct {
	Listener *os.File // for the speakers
	Address  *os.File // for the directors: see SocketPath
}

// ListenSpeaker creates the socket.
func (d RuntimeDir) ListenSpeaker() (*SpeakerSocket, error) {
	path := d.speakerSocket()
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("removing the old speaker socket: %w", err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listening for the director: %w", err)
	}
	defer l.Close() // this also removes the path
	address, err := unix.Open(path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("opening the speaker socket's address: %w", err)
	}
	s := &SpeakerSocket{Address: os.NewFile(uintptr(address), path)}
	if s.Listener, err = l.File(); err != nil {
		s.Address.Close()
		return nil, fmt.Errorf("duplicating the speaker socket: %w", err)
	}
	return s, nil
}

// Close closes this process's ends of the socket.
func (s *SpeakerSocket) Close() {
	s.Listener.Close()
	s.Address.Close()
}

// SocketPath returns the path for connecting to the socket whose Address is f.
func SocketPath(f *os.File) string { return fmt.Sprintf("/proc/self/fd/%d", f.Fd()) }
