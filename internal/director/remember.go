package director

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/ipvs"
)

// memory is what a director remembers over its own restart.
type memory struct {
	Owned    []ipvs.ServiceKey `json:"owned,omitempty"`     // services it created or took over
	OwnsSync bool              `json:"owns_sync,omitempty"` // it started a connection-sync daemon
	Config   *config.Config    `json:"config,omitempty"`    // the last good one
}

// recall reads the state file. A missing file is an empty memory.
func recall(path string) (memory, error) {
	var m memory
	data, err := os.ReadFile(path)
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

// saved says whether the state file is still there: nobody but this process writes it, but somebody may delete it.
func saved(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, os.ErrNotExist)
}

// save replaces the state file in one step, so that a crash leaves the old one or the new one.
func (m memory) save(path string) error {
	data, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("encoding the state: %w", err)
	}
	next := path + ".new"
	if err := os.WriteFile(next, data, 0o600); err != nil {
		return fmt.Errorf("writing the state file: %w", err)
	}
	if err := os.Rename(next, path); err != nil {
		return fmt.Errorf("replacing the state file: %w", err)
	}
	return nil
}

// LastConfig is the configuration that a state file remembers as the last in force; nil if it remembers none.
func LastConfig(stateFile string) (*config.Config, error) {
	m, err := recall(stateFile)
	return m.Config, err
}
