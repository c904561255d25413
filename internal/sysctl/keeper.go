package sysctl

import (
	"errors"
	"io/fs"
	"maps"
	"slices"
	"strings"
)

// Keeper sets kernel parameters and remembers in a file what they were before, so that they can be put back even
// after a crash.
type Keeper struct {
	Kernel   Kernel
	Identity string // of the kernel that the file is about, see Identity
	File     string

	last record // what the file was to hold
}

// Change is one thing that a Keeper did, or left undone.
type Change struct {
	Key  string `json:"key"`
	From string `json:"from"`
	To   string `json:"to"`
	Why  string `json:"why,omitempty"`
	Kept bool   `json:"kept,omitempty"` // somebody else had changed it meanwhile: not put back
}

// Apply makes the settings, in their order, and puts back what an earlier Apply set and is no longer wanted. What
// cannot be set, and a file that cannot be read or written, do not keep the rest from being set. It may be called again
// and again.
func (k *Keeper) Apply(settings []Setting) ([]Change, error) {
	var changes []Change
	var errs []error
	old, err := load(k.File, k.Identity)
	if err != nil {
		errs = append(errs, err)
	}
	held := old // by the file
	if err == nil && len(old.Values) == 0 && len(k.last.Values) > 0 && k.last.Kernel == k.Identity {
		old = k.last // somebody has deleted the file
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
	// Remembered before it is done: a crash in between must not lose what was there. If that fails it is tried again below.
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

// expand replaces patterns by the parameters that match.
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

// Restore puts everything back as it was before the first Apply.
func (k *Keeper) Restore() ([]Change, error) { return k.Apply(nil) }

// restore puts one parameter back, unless somebody else has changed it since, or it is gone.
func (k *Keeper) restore(key string, saved Saved) (*Change, error) {
	now, err := k.Kernel.Read(key)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	change := &Change{Key: key, From: now, To: saved.Before, Why: "it was so before"}
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

// putBack writes back what the kernel changed on its own.
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
