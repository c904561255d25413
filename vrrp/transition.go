package vrrp

import "time"

// Transition is a change of the state of a virtual router or of a sync group. The speaker numbers the transitions of all
// its instances, so that a reader can detect a missing one.
type Transition struct {
	Series   string    `json:"series"`   // identifies the numbering; continued if a speaker is killed
	Sequence uint64    `json:"sequence"` // 1, 2, 3… within the series
	Time     time.Time `json:"time"`
	Instance string    `json:"instance"`
	Group    bool      `json:"group,omitempty"` // Instance is the name of a sync group
	From     State     `json:"from"`
	To       State     `json:"to"`
	Reason   Reason    `json:"reason"`
	Priority uint8     `json:"priority"` // effective, after the transition
}

// Position identifies the last transition that a reader has received. The zero value is before the first.
type Position struct {
	Series   string `json:"series"`
	Sequence uint64 `json:"sequence"`
}

// Position returns the position of the transition.
func (t Transition) Position() Position { return Position{t.Series, t.Sequence} }
