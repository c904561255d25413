package flight

import (
	"errors"
	"runtime/debug"
	"time"
	"unsafe"
)

// The kernel raises SIGBUS on an access to a page of the mapped file that it cannot provide, because the file system is full or
// the file was truncated. Nothing is recorded then, and the router goes on: each access is made under debug.SetPanicOnFault
// with guard deferred.

// retryAfter is how long nothing is recorded after such an access.
const retryAfter = 10 * time.Second

// fault is what the runtime panics with.
type fault interface {
	error
	Addr() uintptr
}

// holds reports whether an address is in the mapped file.
func (r *Recorder) holds(address uintptr) bool {
	begin := uintptr(unsafe.Pointer(unsafe.SliceData(r.all)))
	return address >= begin && address < begin+uintptr(len(r.all))
}

// guard is deferred with the former value of SetPanicOnFault.
func (l *Log) guard(before bool, now time.Time) {
	debug.SetPanicOnFault(before)
	v := recover()
	if v == nil {
		return
	}
	if f, ok := v.(fault); !ok || !l.recorder.holds(f.Addr()) {
		panic(v)
	}
	l.incomplete = true
	l.recorder.lose(now)
}

// lose stops recording for a while.
func (r *Recorder) lose(now time.Time) {
	r.until = now.Add(retryAfter)
	if !r.lost && r.Report != nil {
		r.Report(r.cause())
	}
	r.lost = true
}

// cause says why a page could not be provided.
func (r *Recorder) cause() error {
	if r.file == nil {
		return errors.New("no memory")
	}
	info, err := r.file.Stat()
	switch {
	case err != nil:
		return err
	case info.Size() < fileSize:
		return errors.New("the file was truncated")
	}
	return errors.New("no space left in the file system of the runtime directory")
}

// complete reports whether records can be added that do not begin a part of the recording.
func (l *Log) complete(now time.Time) bool {
	if l.incomplete || l.generation != l.recorder.generation || now.Before(l.recorder.until) {
		l.incomplete = true
		return false
	}
	return true
}

// resume records again after a loss, before an input of the machine: a snapshot tells a replay to begin anew.
func (l *Log) resume(now time.Time) bool {
	r := l.recorder
	if now.Before(r.until) {
		return false
	}
	if r.lost {
		r.mend()
	}
	if !l.attach() {
		return false
	}
	l.flush(now)
	l.snapshot(now, SnapshotAfterLoss)
	l.incomplete = false
	if r.lost {
		r.lost = false
		if r.Report != nil {
			r.Report(nil)
		}
	}
	return true
}

// mend restores the size and the header of a file that was truncated.
func (r *Recorder) mend() {
	if r.file == nil {
		return
	}
	if info, err := r.file.Stat(); err == nil && info.Size() != fileSize {
		_ = r.file.Truncate(fileSize) // otherwise the next access fails
	}
	if r.initialize() {
		clear(r.taken[:])
		r.generation++
	}
}
