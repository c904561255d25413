// Package track monitors what VRRP instances depend on besides VRRP: scripts, files and processes.
package track

import "time"

// State is the state of a track.
type State string

// The states.
const (
	Unknown State = "" // no result yet
	Good    State = "good"
	Bad     State = "bad"
)

// Result is the result of a track. A file has a number instead of Good and Bad: its state is Good once it was read.
type Result struct {
	State  State
	Number int
	Reason string    // describes the last result, such as "exit status 1"
	Since  time.Time // of State and Number
}
