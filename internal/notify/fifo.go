package notify

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvs-ha/lvs-ha/config"
)

// fifo writes a line for each message, like keepalived's notify_fifo.
type fifo struct {
	config config.NotifyFIFO

	mu      sync.Mutex
	fd      int   // -1 if not open
	lengths []int // of the lines written, except for those that have been read
}

func newFIFO(c config.NotifyFIFO) *fifo { return &fifo{config: c, fd: -1} }

func (*fifo) most() int           { return 1 }
func (*fifo) pace() time.Duration { return 0 }

// wants is false for a server that was used from the start and passes its first check: keepalived writes no line either
// (keepalived/check/ipwrapper.c, update_svr_checker_state).
func (f *fifo) wants(m Message) bool {
	return m.Lost == 0 && m.chosen(f.config.Events) && !(m.upFromStart() && m.Pool.Assumed)
}

func (f *fifo) deliver(_ context.Context, batch []Message) error {
	if err := f.open(); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	// A line is shorter than PIPE_BUF, so the write is atomic (pipe(7)).
	line := batch[0].line()
	_, err := unix.Write(f.fd, []byte(line))
	if errors.Is(err, unix.EAGAIN) {
		return fmt.Errorf("%s is full: no program reads it", f.config.Path)
	}
	if err != nil {
		return fmt.Errorf("writing to %s: %w", f.config.Path, err)
	}
	f.lengths = append(f.lengths[len(f.lengths)-f.waiting():], len(line))
	return nil
}

// unread returns the number of lines that no program has read yet.
func (f *fifo) unread() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.waiting()
}

// waiting is unread with the lock held.
func (f *fifo) waiting() (lines int) {
	if f.fd < 0 {
		return 0
	}
	bytes, err := unix.IoctlGetInt(f.fd, unix.TIOCINQ) // FIONREAD
	if err != nil {
		return 0
	}
	for _, length := range slices.Backward(f.lengths) {
		if bytes -= length; bytes < 0 {
			break
		}
		lines++
	}
	return lines
}

// open opens the FIFO, and creates it if it does not exist. Like keepalived, it opens the FIFO for reading too: then open(2)
// does not wait for a reader, and lines stay in the pipe until a reader arrives.
func (f *fifo) open() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	var now, opened unix.Stat_t
	err := unix.Lstat(f.config.Path, &now)
	if err == nil && f.fd >= 0 && unix.Fstat(f.fd, &opened) == nil && opened.Dev == now.Dev && opened.Ino == now.Ino {
		return nil
	}
	f.end() // it was deleted or replaced
	created := false
	if errors.Is(err, fs.ErrNotExist) {
		if err = unix.Mkfifo(f.config.Path, f.config.Mode); err == nil {
			created = true
			err = unix.Lstat(f.config.Path, &now)
		}
	}
	if err != nil {
		return &fs.PathError{Op: "opening", Path: f.config.Path, Err: err}
	}
	if now.Mode&unix.S_IFMT != unix.S_IFIFO {
		return fmt.Errorf("%s is not a FIFO: delete it, or use another path", f.config.Path)
	}
	f.fd, err = unix.Open(f.config.Path, unix.O_RDWR|unix.O_NONBLOCK|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err == nil && (unix.Fstat(f.fd, &opened) != nil || opened.Mode&unix.S_IFMT != unix.S_IFIFO) {
		f.end()
		return fmt.Errorf("%s is not a FIFO: delete it, or use another path", f.config.Path)
	}
	if err != nil {
		f.fd = -1
		return &fs.PathError{Op: "opening", Path: f.config.Path, Err: err}
	}
	if created { // set the mode regardless of the umask, with fchmod since the path may have been replaced by a link
		if err := unix.Fchmod(f.fd, f.config.Mode); err != nil {
			return &fs.PathError{Op: "setting the mode of", Path: f.config.Path, Err: err}
		}
	}
	return nil
}

func (f *fifo) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.end()
}

func (f *fifo) end() {
	if f.fd >= 0 {
		unix.Close(f.fd)
	}
	f.fd, f.lengths = -1, nil
}
