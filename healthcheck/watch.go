package healthcheck

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Watched is a Check of a file: a change of it starts a check at once.
type Watched interface {
	// WatchedFile returns the file for a server.
	WatchedFile(server netip.AddrPort) string
}

// watcher reports changes of files by watching their directories (inotify(7)), which also finds files that are replaced or
// created. Where a directory cannot be watched, the checks at their interval find the change.
type watcher struct {
	changed func(path string)

	mu    sync.Mutex
	file  *os.File       // nil until the first watch, and after close
	dirs  map[string]int // watch descriptors
	names map[int]string // directories, by watch descriptor
	ended sync.WaitGroup
}

// The relevant changes. IN_MODIFY is not among them, since a file is empty when a write begins.
const (
	fileChanges      = unix.IN_CLOSE_WRITE | unix.IN_MOVED_TO | unix.IN_MOVED_FROM | unix.IN_DELETE
	directoryChanges = unix.IN_DELETE_SELF | unix.IN_MOVE_SELF
)

// watch watches the directory of a file, if it is not watched yet.
func (w *watcher) watch(path string) {
	dir := filepath.Dir(path)
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, known := w.dirs[dir]; known {
		return
	}
	if w.file == nil {
		fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
		if err != nil {
			return
		}
		w.file, w.dirs, w.names = os.NewFile(uintptr(fd), "inotify"), map[string]int{}, map[int]string{}
		file := w.file
		w.ended.Go(func() { w.listen(file) })
	}
	raw, err := w.file.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		if id, err := unix.InotifyAddWatch(int(fd), dir, fileChanges|directoryChanges|unix.IN_ONLYDIR); err == nil {
			w.dirs[dir], w.names[id] = id, dir
		}
	})
}

// close ends the watches.
func (w *watcher) close() {
	w.mu.Lock()
	if w.file != nil {
		_ = w.file.Close()
	}
	w.file, w.dirs, w.names = nil, nil, nil
	w.mu.Unlock()
	w.ended.Wait()
}

// listen reports changes until the file is closed.
func (w *watcher) listen(file *os.File) {
	buffer := make([]byte, 16<<10)
	for {
		n, err := file.Read(buffer)
		if err != nil {
			return
		}
		for rest := buffer[:n]; len(rest) >= unix.SizeofInotifyEvent; {
			event := (*unix.InotifyEvent)(unsafe.Pointer(&rest[0]))
			end := unix.SizeofInotifyEvent + int(event.Len)
			name := string(bytes.TrimRight(rest[unix.SizeofInotifyEvent:end], "\x00"))
			w.mu.Lock()
			dir := w.names[int(event.Wd)]
			if event.Mask&(directoryChanges|unix.IN_IGNORED) != 0 { // the next check watches it again
				delete(w.names, int(event.Wd))
				delete(w.dirs, dir)
			}
			w.mu.Unlock()
			if dir != "" && name != "" {
				w.changed(filepath.Join(dir, name))
			}
			rest = rest[end:]
		}
	}
}

// hurry starts the checks of a file now. One that is in progress is repeated when it ends: it may have read the file before
// the change.
func (s *Scheduler) hurry(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	for _, e := range s.entries {
		switch {
		case e.removed || e.file != path:
		case e.inFlight:
			e.due = now
		case e.index >= 0: // not waiting for a slot already
			e.due = now
			s.schedule(e)
		}
	}
}
