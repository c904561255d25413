package healthcheck

import (
	"fmt"
	"math"
	"time"
)

// State is the state of a target, derived from the results of its checks.
type State uint8

// The states.
const (
	Unknown State = iota // no result yet; gets no traffic
	Up
	Down
)

var stateNames = [...]string{Unknown: "unknown", Up: "up", Down: "down"}

// String is the state's name.
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return fmt.Sprintf("state %d", uint8(s))
}

// MarshalText implements encoding.TextMarshaler.
func (s State) MarshalText() ([]byte, error) {
	if int(s) >= len(stateNames) {
		return nil, fmt.Errorf("encode a health check's state: %d is not a state", uint8(s))
	}
	return []byte(stateNames[s]), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *State) UnmarshalText(text []byte) error {
	for i, name := range stateNames {
		if string(text) == name {
			*s = State(i)
			return nil
		}
	}
	return fmt.Errorf("decode a health check's state: %q is not unknown, up or down", text)
}

// manyResults is more than rise or fall can be.
const manyResults = math.MaxInt32 - 1

// Health is a target's state and the results that led to it. It has 128 bytes: Go's maps allocate larger values one by one.
type Health struct {
	State   State
	Good    int32         // consecutive good results up to the last, at most manyResults
	Bad     int32         // the same of bad ones
	Since   time.Time     // when the state began
	Checked time.Time     // time of the last result
	Detail  string        // of the last result
	Took    time.Duration // of the last check; set by the receiver of its Event
	Advice  Advice        // about the server's share of the traffic, so far
}

// Judge returns a target's health after one more result. The first result determines the state. After that, fall consecutive
// bad results change it to down, and rise consecutive good results to up. A check that could not be run changes only the
// detail. The advice is not judged here: see Weight.
func Judge(h Health, r Result, rise, fall int, now time.Time) Health {
	h.Checked, h.Detail = now, r.Detail
	next := h.State
	if r.Decisive {
		rise, fall = 1, 1
	}
	switch {
	case r.Local:
		return h
	case r.Neutral:
		if h.State == Unknown {
			next = Up
		}
	case r.OK:
		h.Good, h.Bad = min(h.Good+1, manyResults), 0
		if h.State == Unknown || int(h.Good) >= rise {
			next = Up
		}
	default:
		h.Good, h.Bad = 0, min(h.Bad+1, manyResults)
		if h.State == Unknown || int(h.Bad) >= fall {
			next = Down
		}
	}
	if next != h.State {
		h.State, h.Since = next, now
	}
	return h
}
