package notify

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvs-ha/lvs-ha/config"
)

// fifo writes a line for each message, like keepalived's notify_fifo.
type fifo struct {
	config config.NotifyFIFO
	fd     int // -1 if not open
}

func newFIFO(c config.NotifyFIFO) *fifo { return &fifo{config: c, fd: -1} }

func (*fifo) most() int            { return 1 }
func (*fifo) pace() time.Duration  { return 0 }
func (*fifo) wants(m Message) bool { return m.Lost == 0 }

func (f *fifo) deliver(_ context.Context, batch []Message) error {
	if err := f.open(); err != nil {
		return err
	}
	// A line is shorter than PIPE_BUF, so the write is atomic (pipe(7)).
	_, err := unix.Write(f.fd, []byte(batch[0].line()))
	if errors.Is(err, unix.EAGAIN) {
		return fmt.Errorf("%s is full: no program reads it", f.config.Path)
	}
	if err != nil {
		return fmt.Errorf("writing to %s: %w", f.config.Path, err)
	}
	return nil
}

// open opens the FIFO, and creates it if it does not exist. Like keepalived, it opens the FIFO for reading too: then open(2)
// does not wait for a reader, and lines stay in the pipe until a reader arrives.
func (f *fifo) open() error {
	var now, opened unix.Stat_t
	err := unix.Lstat(f.config.Path, &now)
	if err == nil && f.fd >= 0 && unix.Fstat(f.fd, &opened) == nil && opened.Dev == now.Dev && opened.Ino == now.Ino {
		return nil
	}
	f.close() // it was deleted or replaced
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
		f.close()
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
	if f.fd >= 0 {
		unix.Close(f.fd)
		f.fd = -1
	}
}
