package sysctl

import (
	"errors"
	"io/fs"
	"maps"
	"slices"
	"strings"
)

// Keeper sets kernel parameters and records their previous values in a file, so that they can be restored even after a
// crash.
type Keeper struct {
	Kernel   Kernel
	Identity string // of the kernel that the file describes, see Identity
	File     string

	last record // the wanted contents of the file
}

// Change is a change that a Keeper made, or a parameter that it did not restore.
type Change struct {
	Key  string `json:"key"`
	From string `json:"from"`
	To   string `json:"to"`
	Why  string `json:"why,omitempty"`
	Kept bool   `json:"kept,omitempty"` // not restored, because another program had changed it
}

// Apply applies the settings in order, and restores parameters that an earlier Apply set and that are no longer wanted. It
// continues after parameters that cannot be set, and without a file that cannot be read or written. It may be called
// repeatedly.
func (k *Keeper) Apply(settings []Setting) ([]Change, error) {
	var changes []Change
	var errs []error
	old, err := load(k.File, k.Identity)
	if err != nil {
		errs = append(errs, err)
	}
	held := old // the contents of the file
	if err == nil && len(old.Values) == 0 && len(k.last.Values) > 0 && k.last.Kernel == k.Identity {
		old = k.last // the file was deleted
	}
	next := record{Kernel: k.Identity, Values: maps.Clone(old.Values)}
	wanted := map[string]bool{}
	var pending []Setting
	settings, err = k.expand(settings)
	if err != nil {
		return nil, err
	}
	for _, s := range settings {
		wanted[s.Key] = true
		now, err := k.Kernel.Read(s.Key)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		saved, remembered := old.Values[s.Key]
		if s.Good(now) && !remembered {
			continue
		}
		if !remembered {
			saved.Before = now
			saved.Disturbed, err = k.readAll(s.Disturbs)
			if err != nil {
				errs = append(errs, err)
				continue
			}
		}
		saved.Set = s.Value
		next.Values[s.Key] = saved
		if !Same(now, s.Value) {
			pending = append(pending, s)
			changes = append(changes, Change{Key: s.Key, From: now, To: s.Value, Why: s.Why})
		}
	}
	// Recorded before the change: a crash in between must not lose the previous value. If that fails, it is retried below.
	if next.replace(held, k.File) == nil {
		held = record{Kernel: next.Kernel, Values: maps.Clone(next.Values)}
	}
	for _, s := range pending {
		if err := k.Kernel.Write(s.Key, s.Value); err != nil {
			errs = append(errs, err)
			changes = slices.DeleteFunc(changes, func(c Change) bool { return c.Key == s.Key })
			if _, remembered := old.Values[s.Key]; !remembered {
				delete(next.Values, s.Key)
			}
		}
	}
	for _, key := range slices.Backward(slices.Sorted(maps.Keys(old.Values))) {
		if wanted[key] {
			continue
		}
		change, err := k.restore(key, old.Values[key])
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if change != nil {
			changes = append(changes, *change)
		}
		delete(next.Values, key)
	}
	errs = append(errs, next.replace(held, k.File))
	k.last = next
	return changes, errors.Join(errs...)
}

// expand replaces patterns with the parameters that match.
func (k *Keeper) expand(settings []Setting) ([]Setting, error) {
	var out []Setting
	for _, s := range settings {
		if !strings.Contains(s.Key, "*") {
			out = append(out, s)
			continue
		}
		keys, err := k.Kernel.Glob(s.Key)
		if err != nil {
			return nil, err
		}
		for _, s.Key = range keys {
			out = append(out, s)
		}
	}
	return out, nil
}

// Restore restores all parameters to their values before the first Apply.
func (k *Keeper) Restore() ([]Change, error) { return k.Apply(nil) }

// restore restores a parameter, unless another program has changed it since or it no longer exists.
func (k *Keeper) restore(key string, saved Saved) (*Change, error) {
	now, err := k.Kernel.Read(key)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	change := &Change{Key: key, From: now, To: saved.Before, Why: "previous value"}
	switch {
	case Same(now, saved.Before):
		return nil, nil
	case !Same(now, saved.Set):
		change.Kept = true
		return change, nil
	}
	if err := k.Kernel.Write(key, saved.Before); err != nil {
		return nil, err
	}
	return change, k.putBack(saved.Disturbed)
}

// putBack restores parameters that the kernel changed together with another.
func (k *Keeper) putBack(before map[string]string) error {
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(before)) {
		now, err := k.Kernel.Read(key)
		if errors.Is(err, fs.ErrNotExist) || err == nil && Same(now, before[key]) {
			continue
		}
		if err == nil {
			err = k.Kernel.Write(key, before[key])
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (k *Keeper) readAll(patterns []string) (map[string]string, error) {
	values := map[string]string{}
	for _, p := range patterns {
		keys, err := k.Kernel.Glob(p)
		if err != nil {
			return nil, err
		}
		for _, key := range keys {
			v, err := k.Kernel.Read(key)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return nil, err
			}
			values[key] = v
		}
	}
	return values, nil
}
