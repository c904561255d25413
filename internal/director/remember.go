package director

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/internal/statefile"
	"github.com/lvs-ha/lvs-ha/ipvs"
)

// memory is the state that survives a restart of the director.
type memory struct {
	Owned    []ipvs.ServiceKey // created or adopted services
	OwnsSync bool              // a connection-sync daemon was started
	Config   *config.Config    // the last valid one

	unusable error // reason why Config was not decoded
}

// saved is the memory in the state file. Shape describes the type of Config, which is decoded only by a program with the
// same type: otherwise, missing fields would become zero and unknown ones would be lost.
type saved struct {
	Owned    []ipvs.ServiceKey `json:"owned,omitempty"`
	OwnsSync bool              `json:"owns_sync,omitempty"`
	Shape    string            `json:"shape,omitempty"`
	Config   *config.Config    `json:"config,omitempty"`
}

// stateFormat is the format of the state file. Its shape covers a configuration's fields: raise the version if the
// meaning of one changes. The file is useless after a power failure, since the IPVS table is gone as well.
var stateFormat = statefile.Format{Kind: "director", Version: 1, Limit: 256 << 20,
	Older: map[int]statefile.Migration{0: statefile.Unchanged}} // version 0 has no shape, so only its configuration is lost

// configShape is the shape of this program's configuration.
var configShape = sync.OnceValue(func() string {
	shape, _ := statefile.Shape(configTypes...)
	return shape
})

// configTypes are the configuration's type, and the types behind its interfaces and custom encodings.
var configTypes = append([]reflect.Type{reflect.TypeFor[config.Config]()}, healthcheck.EncodedTypes()...)

func (m memory) saved() saved {
	s := saved{Owned: m.Owned, OwnsSync: m.OwnsSync, Config: m.Config}
	if m.Config != nil {
		s.Shape = configShape()
	}
	return s
}

// MarshalJSON encodes what UnmarshalJSON decodes.
func (m memory) MarshalJSON() ([]byte, error) { return json.Marshal(m.saved()) }

// errOtherVersion is the case after an upgrade.
var errOtherVersion = errors.New("it was written by another version of lvs-ha")

// UnmarshalJSON decodes a saved memory. One without a usable configuration is not an error: the rest is used.
func (m *memory) UnmarshalJSON(data []byte) error {
	var rest struct {
		saved
		Config *struct{} `json:"config"` // shadows the other field, and is not decoded
	}
	if err := json.Unmarshal(data, &rest); err != nil {
		return err
	}
	*m = memory{Owned: rest.Owned, OwnsSync: rest.OwnsSync}
	switch {
	case rest.Config == nil:
		return nil
	case rest.Shape != configShape():
		m.unusable = errOtherVersion
		return nil
	}
	var s struct {
		Config *config.Config `json:"config"`
	}
	if m.unusable = json.Unmarshal(data, &s); m.unusable == nil {
		s.Config.LinkFiles()
		m.Config = s.Config
	}
	return nil
}

// recallTimeout is how long the director waits for the state file at start.
const recallTimeout = 5 * time.Second

// recall reads the state file. A missing file is an empty memory.
func recall(path string) (memory, error) { return recallBy[memory](stateFormat.Read, path) }

// recallBy reads the state file, and gives up on a file system that does not respond.
func recallBy[T any](read func(path string, into any) error, path string) (none T, err error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		var r result
		r.err = read(path, &r.value)
		done <- r
	}()
	select {
	case r := <-done:
		if errors.Is(r.err, os.ErrNotExist) {
			return none, nil
		}
		if _, unusable := errors.AsType[*statefile.Error](r.err); unusable {
			return none, fmt.Errorf("state file %w", r.err)
		}
		if r.err != nil {
			return none, fmt.Errorf("reading the state file: %w", r.err)
		}
		return r.value, nil
	case <-time.After(recallTimeout):
		return none, fmt.Errorf("reading the state file: %s: no answer within %s", path, recallTimeout)
	}
}

// remember saves the owned services before the kernel is changed, so that they are not treated as foreign after a crash.
// It does not wait until a configuration is saved.
func (d *Director) remember(owned []ipvs.ServiceKey, ownsSync bool) {
	same := slices.Equal(d.memory.Owned, owned) && d.memory.OwnsSync == ownsSync
	if same && d.memory.Config == d.declared {
		for _, k := range d.keepers() {
			k.check()
		}
	} else {
		now := memory{Owned: owned, OwnsSync: ownsSync, Config: d.declared}
		d.memory = now
		d.stateFile.set(func() ([]byte, error) { return stateFormat.Encode(now.saved()) })
	}
	err := d.stateFile.failure()
	if !same || d.unsaved {
		d.await(func() { err = d.stateFile.wait() })
	}
	d.unsaved = err != nil
	for _, k := range d.keepers() {
		err = cmp.Or(err, k.failure())
	}
	d.problems.set("state file", err)
}

// keepers returns the keepers of all files that a crash or a restart must not lose.
func (d *Director) keepers() [8]*keeper {
	return [...]*keeper{d.stateFile, d.positionFile, d.failoversFile, d.unconfirmedFile, d.overridesFile, d.found.file, d.notifyFile, d.eventsFile}
}

// SaveConfig writes a state file with a configuration as the last one in use.
func SaveConfig(stateFile string, cfg *config.Config) error {
	return stateFormat.Write(stateFile, memory{Config: cfg}.saved())
}

// LastConfig returns the configuration last in use according to a state file, or nil if there is none.
func LastConfig(stateFile string) (*config.Config, error) {
	m, err := recall(stateFile)
	return m.Config, errors.Join(err, m.unusable)
}
