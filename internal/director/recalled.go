package director

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/healthcheck"
)

// recallUsable reads the state file. If its configuration cannot be applied, the rest is returned with an error. An
// unreadable file is renamed: the director continues without it, and its next write would destroy data that another
// version still needs.
func recallUsable(path string) (memory, error) {
	m, err := recallBy[memory](stateFormat.ReadOrSetAside, path)
	if err != nil {
		return m, err
	}
	err = m.unusable
	if m.Config != nil {
		err = usable(m.Config)
	}
	if err != nil {
		m.Config = nil
		return m, fmt.Errorf("state file %s: cannot use the saved configuration: %w", path, err)
	}
	return m, nil
}

// usable reports why a configuration from a state file, which may be damaged or from another version, cannot be
// applied. It checks only properties that the rest of the program relies on.
func usable(cfg *config.Config) error {
	var errs []error
	within := func(what string, d, least, most time.Duration) {
		if d < least || d > most {
			errs = append(errs, fmt.Errorf("%s is %s, want %s to %s", what, d, least, most))
		}
	}
	within("director: repair_interval", cfg.Director.Repair, 100*time.Millisecond, time.Hour)
	within("director: grace", cfg.Director.Grace, 100*time.Millisecond, time.Hour)
	if !slices.Contains([]string{"leave", "remove"}, cfg.Director.OnStop) {
		errs = append(errs, fmt.Errorf("director: on_stop is %q, want leave or remove", cfg.Director.OnStop))
	}
	for i := range cfg.VRRP {
		v := &cfg.VRRP[i]
		for _, e := range v.Instance.Validate() {
			errs = append(errs, fmt.Errorf("vrrp %q: %w", v.Name, e))
		}
		if v.ConnectionSync != nil {
			within(fmt.Sprintf("vrrp %q: learn_time", v.Name), v.ConnectionSync.LearnTime, 0, time.Hour)
		}
	}
	for _, t := range cfg.Tracks {
		if c := t.Script; c != nil {
			within(fmt.Sprintf("track_script %q: interval", t.Name), c.Interval, 100*time.Millisecond, 24*time.Hour)
			within(fmt.Sprintf("track_script %q: timeout", t.Name), c.Timeout, 10*time.Millisecond, time.Hour)
		}
	}
	for _, vs := range cfg.Services {
		if vs.Mark == 0 && !vs.Address.IsValid() {
			errs = append(errs, fmt.Errorf("virtual_service %q has neither an address nor a mark", vs.Name))
		}
		specs := slices.Clone(vs.Checks)
		for _, rs := range vs.RealServers {
			if !rs.Address.IsValid() {
				errs = append(errs, fmt.Errorf("virtual_service %q has a real server without an address", vs.Name))
			}
			specs = append(specs, rs.Checks...)
		}
		for _, d := range vs.Discover {
			switch {
			case d.DNS != nil:
				within(fmt.Sprintf("virtual_service %q: min_ttl", vs.Name), d.DNS.MinTTL, 100*time.Millisecond, 24*time.Hour)
				within(fmt.Sprintf("virtual_service %q: max_ttl", vs.Name), d.DNS.MaxTTL, 100*time.Millisecond, 24*time.Hour)
				within(fmt.Sprintf("virtual_service %q: timeout", vs.Name), d.DNS.Timeout, 10*time.Millisecond, time.Minute)
			case d.File == nil:
				errs = append(errs, fmt.Errorf("virtual_service %q has a discover block without a source", vs.Name))
			}
		}
		for _, spec := range specs {
			errs = append(errs, usableCheck(vs.Name, spec)...)
		}
	}
	return errors.Join(errs...)
}

func usableCheck(service string, spec healthcheck.Spec) (errs []error) {
	if spec.Interval < 10*time.Millisecond || spec.Timeout <= 0 {
		errs = append(errs, fmt.Errorf("virtual_service %q: a health check's interval is %s and its timeout %s", service, spec.Interval, spec.Timeout))
	}
	if spec.Rise < 1 || spec.Fall < 1 {
		errs = append(errs, fmt.Errorf("virtual_service %q: a health check's rise is %d and its fall %d, want 1 or more", service, spec.Rise, spec.Fall))
	}
	for _, fault := range spec.Faults() {
		errs = append(errs, fmt.Errorf("virtual_service %q: health check: %w", service, fault))
	}
	return errs
}
