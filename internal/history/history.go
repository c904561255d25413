// Package history records the transitions of VRRP instances that the director has received: it detects new and missing
// ones, and keeps the latest of each instance.
package history

import (
	"slices"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// Kept is the number of events that a History keeps for each instance.
const Kept = 50

// Event is a transition or, if Lost is not zero, Lost consecutive transitions that were never received. They preceded
// Transition, which then has only a position and a time.
type Event struct {
	vrrp.Transition
	Lost uint64
}

// History has the latest events of each instance. It is not safe for concurrent use.
type History struct {
	last   vrrp.Position
	events map[string][]Event
}

// New returns an empty history.
func New() *History { return &History{events: map[string][]Event{}} }

// Add adds transitions, which are in the order of their numbers, and returns the events that are new. If the first series
// that the history receives begins after 1, nothing counts as lost, unless the series is that of seen and there is a gap
// between seen and its beginning.
func (h *History) Add(list []vrrp.Transition, seen vrrp.Position) []Event {
	if h.last == (vrrp.Position{}) && len(list) > 0 {
		h.last = vrrp.Position{Series: list[0].Series, Sequence: list[0].Sequence - 1}
		if seen.Series == h.last.Series {
			h.last.Sequence = min(h.last.Sequence, seen.Sequence)
		}
	}
	var fresh []Event
	for _, t := range list {
		if t.Series != h.last.Series {
			h.last = vrrp.Position{Series: t.Series}
		}
		if t.Sequence <= h.last.Sequence {
			continue
		}
		if lost := t.Sequence - h.last.Sequence - 1; lost > 0 {
			gap := Event{Lost: lost, Transition: vrrp.Transition{Series: t.Series, Sequence: t.Sequence - 1, Time: t.Time}}
			for instance := range h.events { // the lost transitions may belong to any of them
				h.put(instance, gap)
			}
			fresh = append(fresh, gap)
		}
		h.last = t.Position()
		h.put(t.Instance, Event{Transition: t})
		fresh = append(fresh, Event{Transition: t})
	}
	return fresh
}

// put appends to an instance's list. It replaces the list, since readers may still use the old one.
func (h *History) put(instance string, e Event) {
	list := h.events[instance]
	h.events[instance] = append(slices.Clone(list[max(0, len(list)-Kept+1):]), e)
}

// Of returns the events of an instance, oldest first. The returned list does not change later.
func (h *History) Of(instance string) []Event { return h.events[instance] }

// Forget removes the instances for which keep returns false.
func (h *History) Forget(keep func(instance string) bool) {
	for instance := range h.events {
		if !keep(instance) {
			delete(h.events, instance)
		}
	}
}
