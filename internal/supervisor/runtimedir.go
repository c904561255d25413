package supervisor

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
)

// RuntimeDir is where a running lvs-ha keeps its sockets and its state file.
type RuntimeDir string

// DefaultRuntimeDir is used unless told otherwise.
const DefaultRuntimeDir RuntimeDir = "/run/lvs-ha"

// SpeakerSocket is where the speaker listens for the director.
func (d RuntimeDir) SpeakerSocket() string { return filepath.Join(string(d), "speaker.sock") }

// APISocket is where the director serves the API.
func (d RuntimeDir) APISocket() string { return filepath.Join(string(d), "api.sock") }

// StateFile is what the director remembers over a restart.
func (d RuntimeDir) StateFile() string { return filepath.Join(string(d), "director.json") }

// maxSocketPath is what sockaddr_un has room for, with its NUL (include/uapi/linux/un.h, UNIX_PATH_MAX).
const maxSocketPath = 107

// Lock makes the directory and takes its lock, which the kernel releases when this process ends. The error says so if
// another lvs-ha holds it.
func (d RuntimeDir) Lock() (*os.File, error) {
	if path := d.SpeakerSocket(); len(path) > maxSocketPath {
		return nil, fmt.Errorf("the runtime directory's name is too long for the sockets in it: %s has %d bytes, %d are the most "+
			"(choose another with --runtime-dir)", path, len(path), maxSocketPath)
	}
	if err := os.MkdirAll(string(d), 0o755); err != nil {
		return nil, fmt.Errorf("making the runtime directory: %w (choose another with --runtime-dir)", err)
	}
	f, err := os.OpenFile(filepath.Join(string(d), "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("opening the lock of the runtime directory: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("another lvs-ha runs in %s: stop it, or choose another directory with --runtime-dir", d)
		}
		return nil, fmt.Errorf("locking %s: %w", d, err)
	}
	return f, nil
}

// ListenSpeaker makes the socket that speakers inherit. It is made once, by the parent: while a speaker is being
// restarted, a director's connection waits in it.
func (d RuntimeDir) ListenSpeaker() (*os.File, error) {
	path := d.SpeakerSocket()
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("removing the old speaker socket: %w", err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listening for the director: %w", err)
	}
	defer l.Close()
	l.SetUnlinkOnClose(false)
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, fmt.Errorf("closing the speaker socket to other users: %w", err)
	}
	return l.File()
}
