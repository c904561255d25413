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

	"golang.org/x/sys/unix"
)

// RuntimeDir is the directory of a running lvs-ha's sockets and state file.
type RuntimeDir string

// DefaultRuntimeDir is the default of --runtime-dir.
const DefaultRuntimeDir RuntimeDir = "/run/lvs-ha"

// APISocket is the path of the director's API socket.
func (d RuntimeDir) APISocket() string { return filepath.Join(string(d), "api.sock") }

// StateFile is the path of the director's persistent state.
func (d RuntimeDir) StateFile() string { return filepath.Join(string(d), "director.json") }

func (d RuntimeDir) speakerSocket() string { return filepath.Join(string(d), "speaker.sock") }

// maxSocketPath is the size of a path in sockaddr_un, including its NUL (include/uapi/linux/un.h, UNIX_PATH_MAX).
const maxSocketPath = 107

// Check rejects a directory in which other users could place files that this process would follow, write or wait for. It
// creates nothing, and accepts a directory that does not exist.
func (d RuntimeDir) Check() error {
	if path := d.speakerSocket(); len(path) > maxSocketPath {
		return fmt.Errorf("the runtime directory's name is too long for the sockets in it: %s has %d bytes, at most %d are allowed "+
			"(choose another with --runtime-dir)", path, len(path), maxSocketPath)
	}
	path, err := filepath.Abs(string(d))
	if err != nil {
		return fmt.Errorf("finding the runtime directory: %w", err)
	}
	if err := checkAncestors(filepath.Dir(path)); err != nil {
		return err
	}
	dir, err := openDirectory(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		dir.Close()
	}
	return err
}

// checkAncestors checks that other users cannot replace a directory above dir.
func checkAncestors(dir string) error {
	existing, err := filepath.EvalSymlinks(dir)
	for errors.Is(err, fs.ErrNotExist) && dir != "/" {
		dir = filepath.Dir(dir)
		existing, err = filepath.EvalSymlinks(dir)
	}
	if err != nil {
		return fmt.Errorf("finding the runtime directory: %w", err)
	}
	for ; ; existing = filepath.Dir(existing) {
		var st unix.Stat_t
		if err := unix.Stat(existing, &st); err != nil {
			return fmt.Errorf("checking %s, a parent of the runtime directory: %w", existing, err)
		}
		mine := st.Uid == 0 || int(st.Uid) == os.Geteuid()
		open := writableByOthers(&st) && st.Mode&unix.S_ISVTX == 0
		if !mine || open {
			return fmt.Errorf("the runtime directory is not safe: other users can change its parent %s (owner %d, mode %04o); "+
				"choose another with --runtime-dir", existing, st.Uid, st.Mode&0o7777)
		}
		if existing == "/" {
			return nil
		}
	}
}

// writableByOthers ignores root's own group, which has write permission on some systems.
func writableByOthers(st *unix.Stat_t) bool {
	return st.Mode&0o002 != 0 || st.Mode&0o020 != 0 && st.Gid != 0
}

// openDirectory opens the runtime directory if no other user can write to it.
func openDirectory(path string) (*os.File, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	switch {
	case errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP):
		if _, err := os.Lstat(path); err != nil {
			return nil, fmt.Errorf("creating the runtime directory: %w (choose another with --runtime-dir)", err)
		}
		return nil, fmt.Errorf("the runtime directory %s is a symbolic link or not a directory: remove it, or name the directory itself with --runtime-dir", path)
	case err != nil:
		return nil, fmt.Errorf("opening the runtime directory %s: %w", path, err)
	}
	dir := os.NewFile(uintptr(fd), path)
	var st unix.Stat_t
	switch err := unix.Fstat(fd, &st); {
	case err != nil:
		dir.Close()
		return nil, fmt.Errorf("checking the runtime directory %s: %w", path, err)
	case int(st.Uid) != os.Geteuid():
		dir.Close()
		return nil, fmt.Errorf("the runtime directory %s belongs to user %d, but lvs-ha runs as user %d: remove it, or choose another with --runtime-dir",
			path, st.Uid, os.Geteuid())
	case writableByOthers(&st):
		dir.Close()
		return nil, fmt.Errorf("other users can write to the runtime directory %s (mode %04o): run `chmod go-w %s`, or choose another with --runtime-dir",
			path, st.Mode&0o7777, path)
	}
	return dir, nil
}

// Lock is exclusive use of a runtime directory. The kernel releases it when this process ends.
type Lock struct {
	dir  RuntimeDir
	file *os.File
}

// Lock creates the directory and locks it. The error says so if another lvs-ha has locked it.
func (d RuntimeDir) Lock() (*Lock, error) {
	l := &Lock{dir: d}
	return l, l.take()
}

func (l *Lock) take() error {
	if err := l.dir.Check(); err != nil {
		return err
	}
	if err := os.MkdirAll(string(l.dir), 0o755); err != nil {
		return fmt.Errorf("creating the runtime directory: %w (choose another with --runtime-dir)", err)
	}
	f, err := l.open()
	if err != nil {
		return err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return fmt.Errorf("another lvs-ha uses the runtime directory %s: stop it, or, if it runs in another network namespace, "+
				"choose another directory with --runtime-dir", l.dir)
		}
		return fmt.Errorf("locking %s: %w", l.dir, err)
	}
	if l.file != nil {
		l.file.Close()
	}
	l.file = f
	return nil
}

// open opens the lock file with access only for its owner: any user who could open it could lock it.
func (l *Lock) open() (*os.File, error) {
	dir, err := openDirectory(filepath.Clean(string(l.dir)))
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	fd, err := unix.Openat(int(dir.Fd()), lockName, unix.O_CREAT|unix.O_RDWR|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the lock of the runtime directory, %s: %w", l.path(), err)
	}
	f := os.NewFile(uintptr(fd), l.path())
	if err := f.Chmod(0o600); err != nil { // earlier versions made it accessible to all
		f.Close()
		return nil, fmt.Errorf("making the lock of the runtime directory private: %w", err)
	}
	return f, nil
}

const lockName = "lock"

func (l *Lock) path() string { return filepath.Join(string(l.dir), lockName) }

// keepInterval is how often the directory is looked at.
const keepInterval = time.Second

// Keep recreates directory and lock when they have been deleted, until ctx ends. It calls look at each interval, for the other
// files in the directory, which those who use them recreate.
func (l *Lock) Keep(ctx context.Context, log *slog.Logger, look func(recreated bool)) {
	tick := time.NewTicker(keepInterval)
	defer tick.Stop()
	for complaint := ""; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if !l.gone() {
			look(false)
			continue
		}
		switch err := l.take(); {
		case err == nil:
			complaint = ""
			look(true)
			log.Warn("runtime directory deleted; recreated", "path", string(l.dir))
		case err.Error() != complaint:
			complaint = err.Error()
			log.Error("runtime directory deleted; trying to recreate it", "path", string(l.dir), "error", err)
		}
	}
}

// gone reports whether the lock is missing from where another lvs-ha would look for it.
func (l *Lock) gone() bool {
	held, err := l.file.Stat()
	if err != nil {
		return false
	}
	found, err := os.Lstat(l.path())
	return errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(held, found)
}
