package healthcheck

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
)

// Probe carries out one check of a server. It ends when its context does, whose deadline is the check's timeout. It
// has no state: one probe serves any number of servers at the same time.
type Probe func(ctx context.Context, server netip.AddrPort) Result

// Result is the outcome of one check.
type Result struct {
	OK     bool
	Local  bool   // not OK, but for a reason on this machine: it says nothing about the server
	Detail string // a few words, with nothing in it that the server sent but numbers
}

// kind is a kind of checks.
type kind struct {
	faults func(Spec) []Fault
	probe  func(Spec) (Probe, error) // of a spec without faults
}

var kinds = map[Kind]kind{
	TCP:   {tcpFaults, newTCP},
	HTTP:  {httpFaults, newHTTP},
	HTTPS: {httpsFaults, newHTTPS},
}

// Kinds lists the kinds of checks.
func Kinds() []Kind { return slices.Sorted(maps.Keys(kinds)) }

// NewProbe makes the probe of a spec. It reads no files. Its errors say what is wrong in the spec without quoting a
// header's value.
func NewProbe(spec Spec) (Probe, error) {
	if faults := spec.Faults(); len(faults) > 0 {
		errs := make([]error, 0, len(faults))
		for _, f := range faults {
			errs = append(errs, fmt.Errorf("%s check: %w", spec.Kind, f))
		}
		return nil, errors.Join(errs...)
	}
	probe, err := kinds[spec.Kind].probe(spec)
	if err != nil {
		return nil, fmt.Errorf("%s check: %w", spec.Kind, err)
	}
	return probe, nil
}
