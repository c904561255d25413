package realserver

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lvs-ha/lvs-ha/internal/sysctl"
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

// readState returns an empty state if there is no file.
func readState(file string) (State, error) {
	raw, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return State{}, nil
	}
	if err != nil {
		return State{}, fmt.Errorf("read the record of what was done: %w", err)
	}
	var state State
	if err := json.Unmarshal(raw, &state); err != nil {
		return State{}, fmt.Errorf("read the record of what was done: %s is damaged: undo by hand and remove it: %w", file, err)
	}
	return state, nil
}

// Save writes the state, or removes the file if there is nothing to take back.
func (s Store) Save(state State) error {
	_, err := os.Stat(s.Record)
	// Where there is a record for every boot, only an empty state says that this boot is another matter.
	if len(state.Steps) == 0 && len(state.Wanted.VIPs) == 0 && (s.Record == "" || errors.Is(err, fs.ErrNotExist)) {
		if err := os.Remove(s.File()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove the record of what was done: %w", err)
		}
		return nil
	}
	err = sysctl.WriteJSON(s.File(), state)
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("record what is done, to be able to take it back: %w: run it as root", err)
	}
	if err != nil {
		return fmt.Errorf("record what is done, to be able to take it back: %w", err)
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
	next := State{Kernel: s.Kernel, Wanted: w, Steps: slices.Concat(s.Steps, steps)}
	next.Wanted.VIPs = slices.Clone(s.Wanted.VIPs)
	for _, v := range w.VIPs {
		if !slices.ContainsFunc(next.Wanted.VIPs, v.equal) {
			next.Wanted.VIPs = append(next.Wanted.VIPs, v)
		}
	}
	for _, d := range s.Wanted.Directors {
		if !slices.Contains(next.Wanted.Directors, d) {
			next.Wanted.Directors = append(slices.Clone(next.Wanted.Directors), d)
		}
	}
	return next
}

func (v VIP) equal(u VIP) bool {
	if (v.Tunnel == nil) != (u.Tunnel == nil) || v.Tunnel != nil && *v.Tunnel != *u.Tunnel {
		return false
	}
	return v.Address == u.Address && v.Mode == u.Mode
}
