package speaker

import "github.com/lvs-ha/lvs-ha/vrrp"

// A director and a speaker exchange JSON lines.

// order is a line from the director. Whatever it holds, it says that the director works.
type order struct {
	Wanted *vrrp.Wanted   `json:"wanted,omitempty"` // replaces what was wanted before
	Report bool           `json:"report,omitempty"` // asks for all statuses
	After  *vrrp.Position `json:"after,omitempty"`  // asks for all transitions behind it, and all that will follow
}

// news is a line from the speaker: the statuses that have changed, or all of them where a report was asked for and
// when a director connects; and the transitions that the director does not have yet, in order, none omitted.
type news struct {
	Statuses    []vrrp.Status     `json:"statuses"`
	Transitions []vrrp.Transition `json:"transitions,omitempty"`
	Report      bool              `json:"report,omitempty"` // answers a request
}
