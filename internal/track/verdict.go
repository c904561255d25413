package track

import (
	"fmt"
	"time"
)

// verdict derives a state from single results: the state changes after a number of consecutive results that disagree with
// it. Without a previous state, the first result determines it.
type verdict struct {
	rise, fall int
	result     Result
	streak     int // consecutive results that differ from the state
}

// begin sets the initial state.
func (v *verdict) begin(initial State, now time.Time) {
	if v.result.State == Unknown && initial != Unknown {
		v.result = Result{State: initial, Reason: "initial state", Since: now}
	}
}

// note records a result and its reason.
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
