package track

import (
	"fmt"
	"time"
)

// verdict turns single results into a state: a state changes after so many results in a row that say otherwise. The
// first result counts at once where there is no state before it.
type verdict struct {
	rise, fall int
	result     Result
	streak     int // results in a row that differ from the state
}

// begin starts with a state that is given.
func (v *verdict) begin(initial State, now time.Time) {
	if v.result.State == Unknown && initial != Unknown {
		v.result = Result{State: initial, Reason: "initial state", Since: now}
	}
}

// note takes a result with its reason.
func (v *verdict) note(good bool, reason string, now time.Time) Result {
	state, needed := Bad, v.fall
	if good {
		state, needed = Good, v.rise
	}
	switch {
	case state == v.result.State:
		v.streak = 0
		v.result.Reason = reason
		return v.result
	case v.result.State == Unknown:
		needed = 1
	}
	if v.streak++; v.streak >= needed {
		v.streak = 0
		v.result = Result{State: state, Reason: reason, Since: now}
		return v.result
	}
	r := v.result
	r.Reason = fmt.Sprintf("%s, %d of %d in a row to be %s", reason, v.streak, needed, state)
	return r
}
