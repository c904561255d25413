// Package sysctltest has a sysctl.Kernel in memory.
package sysctltest

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
)

// Kernel is a sysctl.Kernel in memory, with the parameters given to New.
type Kernel struct {
	mu      sync.Mutex
	values  map[string]string
	writes  []string
	fail    map[string]error
	coupled map[string][]coupling
}

type coupling struct {
	key   string
	value func(string) string
}

// New returns a kernel with the given parameters.
func New(values map[string]string) *Kernel {
	return &Kernel{values: maps.Clone(values), fail: map[string]error{}, coupled: map[string][]coupling{}}
}

// Fail makes every write of the key fail, or none if err is nil.
func (k *Kernel) Fail(key string, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.fail[key] = err
}

// Read returns a parameter's value.
func (k *Kernel) Read(key string) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	v, ok := k.values[key]
	if !ok {
		return "", fmt.Errorf("read kernel parameter %s: %w", key, fs.ErrNotExist)
	}
	return v, nil
}

// Write sets a parameter.
func (k *Kernel) Write(key, value string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.fail[key]; err != nil {
		return fmt.Errorf("set kernel parameter %s: %w", key, err)
	}
	if _, ok := k.values[key]; !ok {
		return fmt.Errorf("set kernel parameter %s: %w", key, fs.ErrNotExist)
	}
	k.values[key] = strings.Join(strings.Fields(value), " ")
	k.writes = append(k.writes, key+"="+value)
	for _, c := range k.coupled[key] {
		k.values[c.key] = c.value(value)
	}
	return nil
}

// Glob returns the keys that match, in order.
func (k *Kernel) Glob(pattern string) ([]string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	want := strings.Split(pattern, ".")
	var keys []string
	for _, key := range slices.Sorted(maps.Keys(k.values)) {
		if slices.EqualFunc(want, strings.Split(key, "."), func(w, part string) bool { return w == "*" || w == part }) {
			keys = append(keys, key)
		}
	}
	return keys, nil
}

// Couple makes the kernel set the parameter to to value(v) whenever key is set to v.
func (k *Kernel) Couple(key, to string, value func(v string) string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.coupled[key] = append(k.coupled[key], coupling{to, value})
}

// Values returns a copy of all parameters.
func (k *Kernel) Values() map[string]string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return maps.Clone(k.values)
}

// Writes returns the successful writes so far, each as key=value.
func (k *Kernel) Writes() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]string(nil), k.writes...)
}
