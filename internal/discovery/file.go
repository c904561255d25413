package discovery

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvs-ha/lvs-ha/config"
)

// Intervals at which a file is looked at. Polling works on every file system and through symbolic links, where inotify reports
// nothing, and costs one stat each time.
const (
	filePoll   = 500 * time.Millisecond
	fileSettle = 100 * time.Millisecond // after a change
)

// fileTimeout limits one look at a file.
const fileTimeout = 5 * time.Second

// fileSource is a file with a list of servers. Its contents are read when it has not changed between two looks.
type fileSource struct {
	path string

	asked   bool
	failed  string      // of the last look
	read    fileVersion // that the last answer is from
	seen    fileVersion // at the last look
	pending chan look   // of a look that has not ended in time
}

// fileVersion identifies a version of a file.
type fileVersion struct {
	device, inode     uint64
	modified, changed int64
	size              int64
}

// look is the result of reading a file.
type look struct {
	version fileVersion
	text    []byte // nil if the version is the last one or has just been seen for the first time
	err     error
}

func (f *fileSource) ask(ctx context.Context) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, fileTimeout)
	defer cancel()
	if f.pending == nil { // a file system may never answer
		f.pending = make(chan look, 1)
		go func(into chan<- look, read, seen fileVersion, asked bool) { into <- lookAt(f.path, read, seen, asked) }(f.pending, f.read, f.seen, f.asked)
	}
	var l look
	select {
	case l = <-f.pending:
		f.pending = nil
	case <-ctx.Done():
		l.err = fmt.Errorf("%s: no answer from the file system within %s", f.path, fileTimeout)
	}
	first := !f.asked
	f.asked = true
	if l.err != nil {
		same := !first && f.failed == l.err.Error()
		f.failed, f.read = l.err.Error(), fileVersion{} // read again when it is back
		return answer{valid: filePoll, same: same}, l.err
	}
	f.seen = l.version
	if l.text == nil {
		if l.version != f.read {
			return answer{valid: fileSettle, same: true}, nil
		}
		return answer{valid: filePoll, same: true}, nil
	}
	f.read, f.failed = l.version, ""
	servers, err := config.ParseServerList(f.path, l.text)
	return answer{servers: distinct(servers), valid: filePoll}, err
}

func lookAt(path string, read, seen fileVersion, asked bool) look {
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0) // a FIFO without a writer does not block
	if err != nil {
		return look{err: err}
	}
	defer file.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &st); err != nil {
		return look{err: fmt.Errorf("%s: %w", path, err)}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return look{err: fmt.Errorf("%s is not a regular file", path)}
	}
	l := look{version: fileVersion{st.Dev, st.Ino, st.Mtim.Nano(), st.Ctim.Nano(), st.Size}}
	if asked && (l.version == read || l.version != seen) {
		return l
	}
	text, err := io.ReadAll(io.LimitReader(file, config.MaxServerList+1))
	if err != nil {
		return look{err: fmt.Errorf("reading the list: %w", err)}
	}
	l.text = append([]byte{}, text...)
	return l
}
