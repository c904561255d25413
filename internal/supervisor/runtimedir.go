package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// RuntimeDir is where a running lvs-ha keeps its sockets and its state file.
type RuntimeDir string

// DefaultRuntimeDir is used unless told otherwise.
const DefaultRuntimeDir RuntimeDir = "/run/lvs-ha"

// APISocket is where the director serves the API.
func (d RuntimeDir) APISocket() string { return filepath.Join(string(d), "api.sock") }

// StateFile is what the director remembers over a restart.
func (d RuntimeDir) StateFile() string { return filepath.Join(string(d), "director.json") }

func (d RuntimeDir) speakerSocket() string { return filepath.Join(string(d), "speaker.sock") }

// maxSocketPath is what sockaddr_un has room for, with its NUL (include/uapi/linux/un.h, UNIX_PATH_MAX).
const maxSocketPath = 107

// Lock is a runtime directory that no other lvs-ha may use. The kernel releases it when this process ends.
type Lock struct {
	dir  RuntimeDir
	file *os.File
}

// Lock makes the directory and takes its lock. The error says so if another lvs-ha holds it.
func (d RuntimeDir) Lock() (*Lock, error) {
	if path := d.speakerSocket(); len(path) > maxSocketPath {
		return nil, fmt.Errorf("the runtime directory's name is too long for the sockets in it: %s has %d bytes, %d are the most "+
			"(choose another with --runtime-dir)", path, len(path), maxSocketPath)
	}
	l := &Lock{dir: d}
	return l, l.take()
}

func (l *Lock) take() error {
	if err := os.MkdirAll(string(l.dir), 0o755); err != nil {
		return fmt.Errorf("making the runtime directory: %w (choose another with --runtime-dir)", err)
	}
	f, err := os.OpenFile(l.path(), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return fmt.Errorf("opening the lock of the runtime directory: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return fmt.Errorf("another lvs-ha runs in %s: stop it, or choose another directory with --runtime-dir", l.dir)
		}
		return fmt.Errorf("locking %s: %w", l.dir, err)
	}
	if l.file != nil {
		l.file.Close()
	}
	l.file = f
	return nil
}

func (l *Lock) path() string { return filepath.Join(string(l.dir), "lock") }

// keepInterval is how often the directory is looked at.
const keepInterval = time.Second

// Keep makes directory and lock anew when somebody has taken them away, until ctx ends. What else was in the directory
// is made anew by those who use it.
func (l *Lock) Keep(ctx context.Context, log *slog.Logger) {
	tick := time.NewTicker(keepInterval)
	defer tick.Stop()
	for complaint := ""; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if !l.gone() {
			continue
		}
		switch err := l.take(); {
		case err == nil:
			complaint = ""
			log.Warn("runtime directory was taken away by somebody; made anew", "path", string(l.dir))
		case err.Error() != complaint:
			complaint = err.Error()
			log.Error("runtime directory was taken away by somebody; trying to make it anew", "path", string(l.dir), "error", err)
		}
	}
}

// gone says that the lock is no longer found where another lvs-ha would look for it.
func (l *Lock) gone() bool {
	held, err := l.file.Stat()
	if err != nil {
		return false
	}
	found, err := os.Stat(l.path())
	return errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(held, found)
}
