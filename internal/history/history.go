// Package history keeps the transitions of VRRP instances as the director knows them: which are new, which are missing, and
// the latest of each instance.
package history

import (
	"slices"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// Kept is how many events an instance has in a History.
const Kept = 50

// Event is a transition, or, if Lost is not zero, so many transitions that were never received. These were before Transition,
// which then has only a position and a time.
type Event struct {
	vrrp.Transition
	Lost uint64
}

// History is the latest events of each instance. It is not safe for concurrent use.
type History struct {
	last   vrrp.Position
	events map[string][]Event
}

// New returns an empty history.
func New() *History { return &History{events: map[string][]Event{}} }

// Add takes transitions in the order of their numbers, and returns the events that are new. A series that begins later
// than at 1 lacks nothing if it is the first that the history sees, unless it is that of seen and leaves a gap behind it.
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
			for instance := range h.events { // any of them may lack it
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

// put appends to a list, which readers may have: it is replaced.
func (h *History) put(instance string, e Event) {
	list := h.events[instance]
	h.events[instance] = append(slices.Clone(list[max(0, len(list)-Kept+1):]), e)
}

// Of returns the events of an instance, oldest first. The list does not change.
func (h *History) Of(instance string) []Event { return h.events[instance] }

// Forget drops the instances that are not to be kept.
func (h *History) Forget(keep func(instance string) bool) {
	for instance := range h.events {
		if !keep(instance) {
			delete(h.events, instance)
		}
	}
}
