package healthcheck

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
)

// Probe runs one check of a server. It returns when its context ends; the context's deadline is the check's timeout. It is
// stateless: one probe can check any number of servers concurrently.
type Probe func(ctx context.Context, server netip.AddrPort) Result

// Result is the outcome of one check.
type Result struct {
	OK       bool
	Local    bool   // not OK because of this host; says nothing about the server
	Neutral  bool   // neither good nor bad: the server's agent says nothing about its health
	Decisive bool   // changes the state at once, regardless of rise and fall
	Complete bool   // Advice replaces what was said before
	Reason   Reason // why it is not OK; "" if OK
	Advice   Advice // about the server's share of the traffic
	Detail   string // a short description; contains nothing that the server sent except numbers and known words
}

// NewProbe returns the probe of a spec, which cannot run scripts. It does not read files. Its errors describe what is wrong in the spec without quoting
// a header's value.
func NewProbe(spec Spec) (Probe, error) { return newProbe(spec, nil) }

func newProbe(spec Spec, run RunScript) (Probe, error) {
	if faults := spec.Faults(); len(faults) > 0 {
		errs := make([]error, 0, len(faults))
		for _, f := range faults {
			errs = append(errs, fmt.Errorf("%s check: %w", spec.Kind(), f))
		}
		return nil, errors.Join(errs...)
	}
	probe, err := spec.Check.Probe(Setup{Timeout: spec.Timeout, Source: spec.Source, Weight: spec.Weight, Run: run})
	if err != nil {
		return nil, fmt.Errorf("%s check: %w", spec.Kind(), err)
	}
	return probe, nil
}
