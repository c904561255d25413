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

// readTimeout bounds how long one Load waits for the file systems of all its files together.
const readTimeout = 5 * time.Second

// errSilent is how a file system fails that does not answer: a call to a hard-mounted NFS server that is down never ends.
var errSilent = errors.New("the file system does not respond. If it is a network file system, check its server, or copy the file to a local disk")

// disk reads files for one Load. No call of it takes longer than the rest of readTimeout.
type disk struct {
	left time.Duration // may still be waited
	stat func(name string) (os.FileInfo, error)
}

func newDisk(stat func(string) (os.FileInfo, error)) *disk {
	if stat == nil {
		stat = os.Stat
	}
	return &disk{left: readTimeout, stat: stat}
}

// read returns the contents of a regular file of at most so many bytes. Nothing else is opened: a pipe would wait for
// its writer, and a device may do something when it is opened.
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

// configFiles returns the files that a configuration's path stands for.
func (d *disk) configFiles(path string) ([]string, error) {
	return answered(d, path, func() ([]string, error) { return fileNames(d.stat, path) })
}

// abandoned are the calls that were given up and have not ended, by the name that they are about. There is at most one
// for a name, however often a configuration is loaded again.
var abandoned = struct {
	sync.Mutex
	ended map[string]chan struct{}
}{ended: map[string]chan struct{}{}}

// answered calls f, which asks a file system about name, and gives it up when the time for waiting is over.
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
