// Package track watches what instances depend on outside VRRP: scripts, files and processes.
package track

import "time"

// State is whether what a track watches is as it should be.
type State string

// The states.
const (
	Unknown State = "" // no result yet
	Good    State = "good"
	Bad     State = "bad"
)

// Result is what is known of a track. A file has a number instead of Good and Bad: its state is Good once it was read.
type Result struct {
	State  State
	Number int
	Reason string    // the last result, in words, such as "exit status 1"
	Since  time.Time // of State and Number
}
