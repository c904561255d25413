package ipvs

import (
	"fmt"
	"strings"
)

// Plan is an ordered list of changes, and the foreign services that are left alone.
type Plan struct {
	Steps   []Step
	Foreign []ServiceKey
}

// Empty reports whether there is nothing to do.
func (p Plan) Empty() bool { return len(p.Steps) == 0 }

// String returns one line per step and per foreign service.
func (p Plan) String() string {
	var b strings.Builder
	for _, s := range p.Steps {
		fmt.Fprintln(&b, s)
	}
	for _, k := range p.Foreign {
		fmt.Fprintf(&b, "leave service %s: not managed here\n", k)
	}
	return b.String()
}
