package healthcheck

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
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

// kinds has the constructor of each kind's probe.
var kinds = map[Kind]func(Spec) (Probe, error){
	TCP:   newTCP,
	HTTP:  newHTTP,
	HTTPS: newHTTPS,
}

// Kinds lists the kinds of checks.
func Kinds() []Kind { return slices.Sorted(maps.Keys(kinds)) }

// NewProbe makes the probe of a spec. It reads no files. Its errors say what is wrong in the spec without quoting a
// header's value.
func NewProbe(spec Spec) (Probe, error) {
	construct, ok := kinds[spec.Kind]
	if !ok {
		names := make([]string, 0, len(kinds))
		for _, k := range Kinds() {
			names = append(names, string(k))
		}
		return nil, fmt.Errorf("health check kind %q: unknown; use one of %s", string(spec.Kind), strings.Join(names, ", "))
	}
	probe, err := construct(spec)
	if err != nil {
		return nil, fmt.Errorf("%s check: %w", spec.Kind, err)
	}
	return probe, nil
}
