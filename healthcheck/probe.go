package healthcheck

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
)

// Probe carries out one check of a server. It ends when its context does, whose deadline is the check's timeout. It
// has no state: one probe serves any number of servers at the same time.
type Probe func(ctx context.Context, server netip.AddrPort) Result

// Result is the outcome of one check.
type Result struct {
	OK     bool
	Local  bool   // not OK, but for a reason on this machine: it says nothing about the server
	Reason Reason // why it is not OK; "" if it is
	Weight *int   // that the server asks for; nil: it does not
	Detail string // a few words, with nothing in it that the server sent but numbers
}

// NewProbe makes the probe of a spec. It reads no files. Its errors say what is wrong in the spec without quoting a
// header's value.
func NewProbe(spec Spec) (Probe, error) {
	if faults := spec.Faults(); len(faults) > 0 {
		errs := make([]error, 0, len(faults))
		for _, f := range faults {
			errs = append(errs, fmt.Errorf("%s check: %w", spec.Kind(), f))
		}
		return nil, errors.Join(errs...)
	}
	probe, err := spec.Check.Probe(spec.Timeout)
	if err != nil {
		return nil, fmt.Errorf("%s check: %w", spec.Kind(), err)
	}
	return probe, nil
}
