package speaker

import "github.com/lvs-ha/lvs-ha/vrrp"

// A director and a speaker exchange JSON lines.

// order is a line from the director. Whatever it holds, it says that the director works.
type order struct {
	Wanted *vrrp.Wanted `json:"wanted,omitempty"` // replaces what was wanted before
	Report bool         `json:"report,omitempty"` // asks for all statuses
}

// news is a line from the speaker: the statuses that have changed, or all of them where a report was asked for and
// when a director connects.
type news struct {
	Statuses []vrrp.Status `json:"statuses"`
	Report   bool          `json:"report,omitempty"` // answers a request
}
