package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// readTimeout is the default of Options.ReadTimeout.
const readTimeout = 5 * time.Second

// errSilent is the error for a file system that does not respond, such as a hard-mounted NFS server that is down.
var errSilent = errors.New("the file system does not respond. If it is a network file system, check its server, or copy the file to a local disk")

// disk reads files for one Load. Its calls take at most the rest of its time.
type disk struct {
	left time.Duration // remaining waiting time
	stat func(name string) (os.FileInfo, error)
}

func newDisk(stat func(string) (os.FileInfo, error), timeout time.Duration) *disk {
	if stat == nil {
		stat = os.Stat
	}
	return &disk{left: timeout, stat: stat}
}

// read returns the contents of a regular file with a maximum size. It does not open other files: a pipe would wait for
// its writer, and opening a device may have effects.
func (d *disk) read(name string, most int) ([]byte, error) {
	return answered(d, name, func() ([]byte, error) {
		info, err := d.stat(name)
		if err != nil {
			return nil, err
		}
		if !info.Mode().IsRegular() {
			return nil, fmt.Errorf("%s is not a regular file", name)
		}
		file, err := os.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0)
		if err != nil {
			return nil, err
		}
		defer file.Close() //nolint:errcheck // read only
		return io.ReadAll(io.LimitReader(file, int64(most)+1))
	})
}

// configFiles returns the files of a configuration's path.
func (d *disk) configFiles(path string) ([]string, error) {
	return answered(d, path, func() ([]string, error) { return fileNames(d.stat, path) })
}

// abandoned are calls that timed out and have not returned, by name. There is at most one per name, however often a
// configuration is loaded.
var abandoned = struct {
	sync.Mutex
	ended map[string]chan struct{}
}{ended: map[string]chan struct{}{}}

// answered calls f, which accesses name in a file system, and abandons it when the waiting time is used up.
func answered[T any](d *disk, name string, f func() (T, error)) (value T, err error) {
	silent := fmt.Errorf("%s: %w", name, errSilent)
	if d.left <= 0 {
		return value, silent
	}
	began, deadline := time.Now(), time.NewTimer(d.left)
	defer func() {
		deadline.Stop()
		d.left -= time.Since(began)
	}()
	abandoned.Lock()
	before := abandoned.ended[name]
	abandoned.Unlock()
	if before != nil {
		select {
		case <-before:
		case <-deadline.C:
			return value, silent
		}
	}
	type result struct {
		value T
		err   error
	}
	results, ended := make(chan result, 1), make(chan struct{})
	go func() {
		value, err := f()
		results <- result{value, err}
		abandoned.Lock()
		defer abandoned.Unlock()
		close(ended)
		if abandoned.ended[name] == ended {
			delete(abandoned.ended, name)
		}
	}()
	select {
	case r := <-results:
		return r.value, r.err
	case <-deadline.C:
	}
	abandoned.Lock()
	defer abandoned.Unlock()
	select {
	case <-ended:
	default:
		abandoned.ended[name] = ended
	}
	return value, silent
}
