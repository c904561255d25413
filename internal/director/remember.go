package director

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/ipvs"
)

// memory is what a director remembers over its own restart.
type memory struct {
	Owned    []ipvs.ServiceKey `json:"owned,omitempty"`     // services it created or took over
	OwnsSync bool              `json:"owns_sync,omitempty"` // it started a connection-sync daemon
	Config   *config.Config    `json:"config,omitempty"`    // the last good one
}

// recallTimeout is how long the state file is waited for at start.
const recallTimeout = 5 * time.Second

// recall reads the state file. A missing file is an empty memory.
func recall(path string) (memory, error) {
	var m memory
	data, err := readFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return m, nil
	}
	if err != nil {
		return m, fmt.Errorf("reading the state file: %w", err)
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return memory{}, fmt.Errorf("state file %s is damaged: %w", path, err)
	}
	if m.Config != nil {
		m.Config.LinkFiles()
	}
	return m, nil
}

// remember has saved what is owned before the kernel is touched: after a crash nothing of ours is taken for foreign. A
// configuration is saved meanwhile.
func (d *Director) remember(owned []ipvs.ServiceKey, ownsSync bool) {
	same := slices.Equal(d.memory.Owned, owned) && d.memory.OwnsSync == ownsSync
	if same && d.memory.Config == d.cfg {
		d.stateFile.check()
	} else {
		now := memory{Owned: owned, OwnsSync: ownsSync, Config: d.cfg}
		d.memory = now
		d.stateFile.set(func() ([]byte, error) { return json.Marshal(now) })
	}
	err := d.stateFile.failure()
	if !same || d.unsaved {
		d.attend(func() { err = d.stateFile.wait() })
	}
	d.unsaved = err != nil
	d.problems.set("state file", err)
}

// readFile reads a file, and gives up on a file system that does not answer.
func readFile(path string) ([]byte, error) {
	type result struct {
		data []byte
		err  error
	}
	read := make(chan result, 1)
	go func() {
		data, err := os.ReadFile(path)
		read <- result{data, err}
	}()
	select {
	case r := <-read:
		return r.data, r.err
	case <-time.After(recallTimeout):
		return nil, fmt.Errorf("%s: no answer within %s", path, recallTimeout)
	}
}

// LastConfig is the configuration that a state file remembers as the last in force; nil if it remembers none.
func LastConfig(stateFile string) (*config.Config, error) {
	m, err := recall(stateFile)
	return m.Config, err
}
