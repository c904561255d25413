// Package doctortest has a doctor.Machine in memory.
package doctortest

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/doctor"
)

// Machine is a doctor.Machine in memory: a healthy director, except for what a test changes.
type Machine struct {
	Now  doctor.Observed
	Fail map[doctor.Fix]error // errors of fixes that fail
	Done []doctor.Fix         // fixes that were applied
}

// Observe returns a copy of Now.
func (m *Machine) Observe(context.Context, *config.Config) *doctor.Observed {
	o := m.Now
	o.Sysctls = maps.Clone(o.Sysctls)
	o.Modules.Loaded = slices.Clone(o.Modules.Loaded)
	return &o
}

// Fix applies a fix, which is visible in the next observation.
func (m *Machine) Fix(_ context.Context, f doctor.Fix) error {
	if err := m.Fail[f]; err != nil {
		return err
	}
	switch {
	case f.Module != "" && !m.Now.Modules.Can(f.Module):
		return fmt.Errorf("load module %s: there is none", f.Module)
	case f.Module != "":
		m.Now.Modules.Loaded = append(m.Now.Modules.Loaded, f.Module)
		m.Now.IPVS = m.Now.IPVS || f.Module == "ip_vs"
	default:
		if _, exists := m.Now.Sysctls[f.Key]; !exists {
			return fmt.Errorf("set %s: there is none", f.Key)
		}
		m.Now.Sysctls[f.Key] = f.Value
	}
	m.Done = append(m.Done, f)
	return nil
}
