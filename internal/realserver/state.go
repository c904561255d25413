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

// State is what was done on this machine, so that it can be taken back.
type State struct {
	Kernel string `json:"kernel"` // see sysctl.Identity
	Wanted Wanted `json:"wanted"`
	Steps  []Step `json:"steps"` // in the order they were done
}

// Store keeps the state in a folder, one file for each network namespace.
type Store struct {
	Dir      string
	Identity string
	Record   string // the state that files for the next boot were made of, for when there is no other; "" for none
}

// File is the path of the state file.
func (s Store) File() string {
	_, namespace, _ := strings.Cut(s.Identity, "/")
	return filepath.Join(s.Dir, "net-"+namespace+".json")
}

// lockPause is how long to wait before trying again for a lock that another call holds.
const lockPause = 50 * time.Millisecond

// Lock keeps other calls from changing the machine meanwhile: each records what was there before it.
func (s Store) Lock(ctx context.Context) (unlock func(), err error) {
	if s.Dir == "" {
		return nil, errors.New("no directory for the record of changes: set --state-dir")
	}
	if err := os.MkdirAll(s.Dir, 0o755); err != nil {
		return nil, recording(err)
	}
	dir, err := os.Open(s.Dir)
	if err != nil {
		return nil, recording(err)
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

// recording is the error of a state file that cannot be written.
func recording(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("record the changes, to be able to undo them: %w: run as root", err)
	}
	return fmt.Errorf("record the changes, to be able to undo them: %w", err)
}

// Load reads the state of this boot, or else what is brought up at every boot. Where there is neither it is empty.
func (s Store) Load() (State, error) {
	state, err := readState(s.File())
	if err != nil || state.Kernel == s.Identity {
		return state, err
	}
	if s.Record != "" {
		state, err = readState(s.Record)
		if err == nil && state.Kernel != "" {
			return state.reborn(s.Identity), nil
		}
	}
	return State{Kernel: s.Identity}, err
}

// recordFormat is that of both records. The one of what is kept over a reboot has to survive a power failure.
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

// Save writes the state, or removes the file if there is nothing to take back.
func (s Store) Save(state State) error {
	_, err := os.Stat(s.Record)
	// Where there is a record for every boot, only an empty state says that this boot is another matter.
	if len(state.Steps) == 0 && len(state.Wanted.VIPs) == 0 && (s.Record == "" || errors.Is(err, fs.ErrNotExist)) {
		if err := os.Remove(s.File()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove the record of changes: %w", err)
		}
		return nil
	}
	if err := writeState(s.File(), state); err != nil {
		return recording(err)
	}
	return nil
}

// reborn is the state after a boot that brought up all that is wanted, whoever had done it the first time.
func (s State) reborn(identity string) State {
	next := State{Kernel: identity, Wanted: s.Wanted, Steps: slices.Clone(s.Steps)}
	for _, step := range Script(s.Wanted, Observed{}) {
		if step.Action != SetSysctl && step.Action != LoadModule && !slices.ContainsFunc(s.Steps, step.same) {
			next.Steps = append(next.Steps, step)
		}
	}
	return next
}

// with is the state after more was wanted and done.
func (s State) with(w Wanted, steps []Step) State {
	next := s.recording(steps)
	next.Wanted.VIPs = union(s.Wanted.VIPs, w.VIPs, VIP.equal)
	next.Wanted.Directors = union(w.Directors, s.Wanted.Directors, func(a, b netip.Addr) bool { return a == b })
	next.Wanted.Listeners = union(s.Wanted.Listeners, w.Listeners, func(a, b Listener) bool { return a == b })
	return next
}

// recording is the state after more was done. Of a step that was done twice, the first knows what was there before.
func (s State) recording(steps []Step) State {
	s.Steps = union(s.Steps, steps, Step.same)
	return s
}

// union is the first list, and of the second what is not in it.
func union[T any](a, b []T, equal func(T, T) bool) []T {
	out := slices.Clone(a)
	for _, v := range b {
		if !slices.ContainsFunc(out, func(u T) bool { return equal(u, v) }) {
			out = append(out, v)
		}
	}
	return out
}
