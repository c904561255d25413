package track

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvs-ha/lvs-ha/config"
)

const (
	// filePoll is the interval at which a file is checked if the kernel does not report changes: on a network file system,
	// or behind symbolic links.
	filePoll = time.Second
	// fileSpacing is the minimum time between two reads.
	fileSpacing = 10 * time.Millisecond
)

// fileWatch reads the number in a file whenever the file changes. As in keepalived, a missing or empty file counts as 0.
type fileWatch struct {
	report func(Result)
	log    *slog.Logger

	path      string
	result    Result
	read      fileVersion // version that the result is from
	seen      fileVersion // version at the last check
	complaint string
}

// fileVersion identifies a version of a file; it is zero for a missing file.
type fileVersion struct {
	device, inode uint64
	modified      int64
	size          int64
}

// watch monitors the file until ctx ends.
func (f *fileWatch) watch(ctx context.Context, parameters <-chan config.Track) {
	first := <-parameters
	f.path = first.File.Path
	n := newNotifier(f.path)
	defer func() { n.close() }()
	poll := time.NewTicker(filePoll)
	defer poll.Stop()
	f.reread(time.Now())
	for {
		select {
		case <-ctx.Done():
			return
		case t := <-parameters:
			if t.File.Path == f.path {
				continue
			}
			f.path = t.File.Path
			n.close()
			n = newNotifier(f.path)
			f.reread(time.Now())
		case <-n.changed:
			f.reread(time.Now())
			pause(ctx, fileSpacing)
		case <-poll.C:
			if n.lost() {
				n.close()
				n = newNotifier(f.path)
			}
			f.look(time.Now())
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// look reads a file that has changed, once two checks find the same version: it may still be being written.
func (f *fileWatch) look(now time.Time) {
	v := versionOf(f.path)
	if v == f.seen && v != f.read {
		f.reread(now)
	}
	f.seen = v
}

func versionOf(path string) fileVersion {
	var st unix.Stat_t
	if unix.Stat(path, &st) != nil {
		return fileVersion{}
	}
	return fileVersion{st.Dev, st.Ino, st.Mtim.Nano(), st.Size}
}

// reread reads the file.
func (f *fileWatch) reread(now time.Time) {
	f.read = versionOf(f.path)
	f.seen = f.read
	number, reason, err := readNumber(f.path)
	if err != nil {
		number = f.result.Number // unchanged
		reason = fmt.Sprintf("%v; counts as %d", err, number)
	}
	if complaint := fmt.Sprint(err); complaint != f.complaint {
		f.complaint = complaint
		if err != nil {
			f.log.Warn("track file ignored", "path", f.path, "number", number, "error", err)
		}
	}
	if f.result.State != Good || number != f.result.Number {
		f.result.Since = now
	}
	f.result.State, f.result.Number, f.result.Reason = Good, number, reason
	f.report(f.result)
}

// maxNumber is the largest number: 32 bits, as in keepalived.
const maxNumber = math.MaxInt32

// readNumber reads the number at the beginning of a file. It does not block on special files.
func readNumber(path string) (number int, reason string, err error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return 0, "no file", nil
	}
	if err != nil {
		return 0, "", err
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return 0, "", errors.Join(err, fmt.Errorf("%s is not a regular file", path))
	}
	var head [64]byte
	n, _ := file.Read(head[:])
	fields := strings.Fields(string(head[:n]))
	if len(fields) == 0 {
		return 0, "empty", nil
	}
	value, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, "", fmt.Errorf("%q is not a number", fields[0])
	}
	value = max(-maxNumber, min(value, maxNumber))
	return int(value), strconv.FormatInt(value, 10), nil
}
