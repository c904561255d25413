package director

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/statefile"
)

// saveTimeout is how long the director waits for a file to be written before it continues without.
const saveTimeout = time.Second

var errSlowFile = errors.New("the file system does not respond; after a crash lvs-ha may not know which kernel objects it owns")

// keeper keeps a file up to date. It writes in its own goroutine, so only that is blocked by an unresponsive file
// system.
type keeper struct {
	path  string
	write func(path string, contents []byte) error

	mu     sync.Mutex
	encode func() ([]byte, error) // the wanted content
	stale  bool                   // the file has other content
	err    error                  // of the last write
	began  time.Time              // start of the current work
	idle   chan struct{}          // closed when there is none
}

func newKeeper(path string, f statefile.Format) *keeper {
	idle := make(chan struct{})
	close(idle)
	return &keeper{path: path, write: replaceBy(f), idle: idle}
}

// set replaces the file's content with encode's result. The values that encode uses must not change afterwards.
func (k *keeper) set(encode func() ([]byte, error)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.encode, k.stale = encode, true
	k.work()
}

// check writes the file again if the last write failed or the file was deleted.
func (k *keeper) check() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.work()
}

// work starts a goroutine that updates the file, unless there is one. The lock must be held.
func (k *keeper) work() {
	select {
	case <-k.idle:
	default:
		return
	}
	k.idle, k.began = make(chan struct{}), time.Now()
	go func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		for tried := false; !tried || k.stale && k.err == nil; tried = true {
			encode, stale := k.encode, k.stale
			k.stale = false
			k.mu.Unlock()
			err := k.update(encode, stale)
			k.mu.Lock()
			k.err = err
			k.stale = k.stale || err != nil
		}
		close(k.idle)
	}()
}

func (k *keeper) update(encode func() ([]byte, error), stale bool) error {
	if _, err := os.Stat(k.path); encode == nil || !stale && !errors.Is(err, os.ErrNotExist) {
		return nil
	}
	contents, err := encode()
	if err != nil {
		return fmt.Errorf("encoding %s: %w", k.path, err)
	}
	return k.write(k.path, contents)
}

// wait returns the result of the last write, or an error if it takes longer than saveTimeout.
func (k *keeper) wait() error { return k.waitFor(saveTimeout) }

// waitFor is wait with another limit.
func (k *keeper) waitFor(limit time.Duration) error {
	k.mu.Lock()
	idle, patience := k.idle, limit-time.Since(k.began)
	k.mu.Unlock()
	deadline := time.NewTimer(max(patience, 0))
	defer deadline.Stop()
	select {
	case <-idle:
	default:
		select {
		case <-idle:
		case <-deadline.C:
			return fmt.Errorf("writing %s: %w", k.path, errSlowFile)
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.err
}

// failure returns the error of the last write, or of one that takes too long, without waiting.
func (k *keeper) failure() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	select {
	case <-k.idle:
	default:
		if time.Since(k.began) >= saveTimeout {
			return fmt.Errorf("writing %s: %w", k.path, errSlowFile)
		}
	}
	return k.err
}

func replaceBy(f statefile.Format) func(path string, contents []byte) error {
	return func(path string, contents []byte) error {
		if err := f.Replace(path, contents); err != nil {
			return fmt.Errorf("writing the state file: %w", err)
		}
		return nil
	}
}
