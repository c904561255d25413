package realserver

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/statefile"
	"golang.org/x/sys/unix"
)

// State is the record of changes to this host.
type State struct {
	Kernel string `json:"kernel"` // see sysctl.Identity
	Wanted Wanted `json:"wanted"`
	Steps  []Step `json:"steps"` // in order of execution
}

// Store keeps the state in a directory, one file per network namespace.
type Store struct {
	Dir      string
	Identity string
	Record   string // the fallback state file: that of the files for the next boot; "" for none
}

// File returns the path of the state file.
func (s Store) File() string {
	_, namespace, _ := strings.Cut(s.Identity, "/")
	return filepath.Join(s.Dir, "net-"+namespace+".json")
}

// lockPause is the interval between attempts to take a lock.
const lockPause = 50 * time.Millisecond

// Lock excludes concurrent calls, because each records the state before its own changes.
func (s Store) Lock(ctx context.Context) (unlock func(), err error) {
	if s.Dir == "" {
		return nil, errors.New("no directory for the record of changes: set --state-dir")
	}
	if err := os.MkdirAll(s.Dir, 0o755); err != nil {
		return nil, recordError(err)
	}
	dir, err := os.Open(s.Dir)
	if err != nil {
		return nil, recordError(err)
	}
	for {
		err := unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { _ = dir.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", s.Dir, err), dir.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("lock %s: another lvs-ha realserver is running: %w", s.Dir, ctx.Err()), dir.Close())
		case <-time.After(lockPause):
		}
	}
}

// recordError explains why the state file cannot be written.
func recordError(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("record the changes, to be able to undo them: %w: run as root", err)
	}
	return fmt.Errorf("record the changes, to be able to undo them: %w", err)
}

// Load returns the state of this boot, or else that of the files for the next boot. If there is neither, it is empty.
func (s Store) Load() (State, error) {
	state, err := readState(s.File())
	if err != nil || state.Kernel == s.Identity {
		return state, err
	}
	if s.Record != "" {
		state, err = readState(s.Record)
		if err == nil && state.Kernel != "" {
			return state.afterBoot(s.Identity), nil
		}
	}
	return State{Kernel: s.Identity}, err
}

// recordFormat is the format of both state files. The one that is kept across reboots must survive a power failure.
var recordFormat = statefile.Format{Kind: "realserver", Version: 1, Limit: 16 << 20, Durable: true,
	Older: map[int]statefile.Migration{0: statefile.Unchanged}}

func writeState(file string, state State) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return recordFormat.Write(file, state)
}

// readState returns an empty state if there is no file.
func readState(file string) (State, error) {
	var state State
	err := recordFormat.Read(file, &state)
	e, unusable := errors.AsType[*statefile.Error](err)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return State{}, nil
	case unusable && errors.Is(err, statefile.ErrNewer):
		return State{}, fmt.Errorf("read the record of changes: %w: use that version, or remove the file and undo by hand what `lvs-ha realserver up --print` shows", err)
	case unusable:
		return State{}, fmt.Errorf("read the record of changes: %s is damaged: remove it, and undo by hand what `lvs-ha realserver up --print` shows: %w", file, e.Cause)
	case err != nil:
		return State{}, fmt.Errorf("read the record of changes: %w", err)
	}
	return state, nil
}

// Save writes the state, or removes the file if there is nothing to undo.
func (s Store) Save(state State) error {
	_, err := os.Stat(s.Record)
	// If files for the next boot exist, an empty state must be saved: it overrides their state for this boot.
	if len(state.Steps) == 0 && len(state.Wanted.VIPs) == 0 && (s.Record == "" || errors.Is(err, fs.ErrNotExist)) {
		if err := os.Remove(s.File()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove the record of changes: %w", err)
		}
		return nil
	}
	if err := writeState(s.File(), state); err != nil {
		return recordError(err)
	}
	return nil
}

// afterBoot returns the state after a boot that set up all wanted addresses.
func (s State) afterBoot(identity string) State {
	next := State{Kernel: identity, Wanted: s.Wanted, Steps: slices.Clone(s.Steps)}
	for _, step := range Script(s.Wanted, Observed{}) {
		if step.Action != SetSysctl && step.Action != LoadModule && !slices.ContainsFunc(s.Steps, step.same) {
			next.Steps = append(next.Steps, step)
		}
	}
	return next
}

// with returns the state after more addresses were wanted and steps were executed.
func (s State) with(w Wanted, steps []Step) State {
	next := s.add(steps)
	next.Wanted.VIPs = union(s.Wanted.VIPs, w.VIPs, VIP.equal)
	next.Wanted.Directors = union(w.Directors, s.Wanted.Directors, func(a, b netip.Addr) bool { return a == b })
	next.Wanted.Listeners = union(s.Wanted.Listeners, w.Listeners, func(a, b Listener) bool { return a == b })
	return next
}

// add returns the state with more steps. If a step was executed twice, the first record has the original value.
func (s State) add(steps []Step) State {
	s.Steps = union(s.Steps, steps, Step.same)
	return s
}

// union returns the first list, and the elements of the second that are not in it.
func union[T any](a, b []T, equal func(T, T) bool) []T {
	out := slices.Clone(a)
	for _, v := range b {
		if !slices.ContainsFunc(out, func(u T) bool { return equal(u, v) }) {
			out = append(out, v)
		}
	}
	return out
}
