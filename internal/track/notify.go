package track

import (
	"bytes"
	"os"
	"path/filepath"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// notifier reports changes of a file by watching its directory, so that it also detects replacement and creation of the file
// (inotify(7)).
type notifier struct {
	changed chan struct{}
	file    *os.File // nil if nothing can be watched
	ended   atomic.Bool
}

// The relevant changes. IN_MODIFY is not among them, since a file is empty when a write begins.
const (
	fileChanges      = unix.IN_CLOSE_WRITE | unix.IN_MOVED_TO | unix.IN_MOVED_FROM | unix.IN_DELETE
	directoryChanges = unix.IN_DELETE_SELF | unix.IN_MOVE_SELF
)

func newNotifier(path string) *notifier {
	n := &notifier{changed: make(chan struct{}, 1)}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return n // too many inotify instances; polling suffices
	}
	if _, err := unix.InotifyAddWatch(fd, filepath.Dir(path), fileChanges|directoryChanges|unix.IN_ONLYDIR); err != nil {
		unix.Close(fd)
		return n
	}
	n.file = os.NewFile(uintptr(fd), "inotify")
	go n.listen(n.file, filepath.Base(path))
	return n
}

// lost reports whether nothing is being watched, for example because the directory is missing.
func (n *notifier) lost() bool { return n.file == nil || n.ended.Load() }

func (n *notifier) close() {
	if n.file != nil {
		n.file.Close()
	}
}

// listen reports changes until the directory is removed or the notifier is closed.
func (n *notifier) listen(file *os.File, name string) {
	defer n.ended.Store(true)
	buffer := make([]byte, 16<<10)
	for {
		count, err := file.Read(buffer)
		if err != nil {
			return
		}
		for rest := buffer[:count]; len(rest) >= unix.SizeofInotifyEvent; {
			event := (*unix.InotifyEvent)(unsafe.Pointer(&rest[0]))
			end := unix.SizeofInotifyEvent + int(event.Len)
			of := string(bytes.TrimRight(rest[unix.SizeofInotifyEvent:end], "\x00"))
			if of == name || event.Mask&(unix.IN_Q_OVERFLOW|directoryChanges) != 0 {
				select {
				case n.changed <- struct{}{}:
				default:
				}
			}
			if event.Mask&(directoryChanges|unix.IN_IGNORED) != 0 {
				return
			}
			rest = rest[end:]
		}
	}
}
