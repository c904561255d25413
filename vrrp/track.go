package vrrp

import (
	"slices"
	"time"
)

// Track is a condition that an instance depends on, with its last result and the effect on the instance.
type Track struct {
	Name   string    `json:"name"` // unique among the instance's tracks of its kind
	Kind   TrackKind `json:"kind"`
	Effect Effect    `json:"effect,omitempty"`
	Offset int       `json:"offset,omitempty"` // with EffectOffset
	Reason string    `json:"reason,omitempty"` // description of the last result
	Since  time.Time `json:"since,omitzero"`   // of this effect

	// Failed means that the last result is bad, even if it has no effect, as with a positive weight.
	Failed bool `json:"failed,omitempty"`

	// Pending means that there is no result yet. A speaker that has an earlier effect, or already runs the instance, keeps
	// the current state.
	Pending bool `json:"pending,omitempty"`
}

// TrackKind is the kind of condition that a track watches.
type TrackKind string

// The kinds.
const (
	TrackInterfaceLink  TrackKind = "interface"
	TrackScript         TrackKind = "script"
	TrackFile           TrackKind = "file"
	TrackProcess        TrackKind = "process"
	TrackService        TrackKind = "service"
	TrackAddresses      TrackKind = "addresses"       // the kernel's refusals of virtual addresses
	TrackDirector       TrackKind = "director"        // the director process
	TrackTable          TrackKind = "ipvs"            // the director's updates of the kernel's IPVS table
	TrackConnectionSync TrackKind = "connection-sync" // a backup that has not received all connections yet
	TrackFailover       TrackKind = "failover"        // an operator's request
	TrackGroup          TrackKind = "group"           // another member of the sync group
)

// Effect is the effect of a track on its instance.
type Effect string

// The effects. A fault takes precedence over a last resort, and a last resort over offsets.
const (
	EffectNone       Effect = ""
	EffectOffset     Effect = "offset"      // the offset is added to the priority
	EffectHold       Effect = "hold"        // an active master of lower priority is not preempted; a failed one is still replaced
	EffectLastResort Effect = "last-resort" // priority 1: a master hands over, and stays master if no router takes over
	EffectFault      Effect = "fault"       // INITIALIZE: a master hands over and is not available
)

// SetTracks replaces all tracks.
type SetTracks struct{ Tracks []Track }

func (SetTracks) isEvent() {}

// effects is the combined effect of several tracks.
type effects struct {
	offset     int
	hold       string // the first track's reason; empty: none
	lastResort bool
	fault      Reason // of the first track that has a result, or else of the first one; empty: none
}

func combine(tracks []Track) effects {
	var e effects
	for _, t := range tracks {
		switch t.Effect {
		case EffectOffset:
			e.offset += t.Offset
		case EffectHold:
			if e.hold == "" {
				e.hold = t.holdReason()
			}
		case EffectLastResort:
			e.lastResort = true
		case EffectFault:
			if e.fault == "" || e.fault == ReasonTrackPending {
				e.fault = t.reason()
			}
		}
	}
	return e
}

func (t *Track) holdReason() string {
	if t.Reason != "" {
		return t.Reason
	}
	return t.Name
}

// reason returns the reason with which the track makes an instance leave.
func (t *Track) reason() Reason {
	switch {
	case t.Kind == TrackAddresses:
		return ReasonAddressRefused
	case t.Kind == TrackDirector:
		return ReasonDirectorLost
	case t.Kind == TrackFailover:
		return ReasonResignFailover
	case t.Pending && t.Effect == EffectFault:
		return ReasonTrackPending
	case t.Kind == TrackGroup && t.Effect == EffectFault:
		return ReasonGroupFault
	case t.Kind == TrackGroup:
		return ReasonGroup
	}
	return ReasonTrack
}

// reasonBack returns the reason with which an instance that was leaving because of a track of this kind becomes master
// again.
func (k TrackKind) reasonBack() Reason {
	switch k {
	case TrackAddresses:
		return ReasonAddressesBack
	case TrackDirector:
		return ReasonDirectorBack
	}
	return ReasonTrackBack
}

// firstBeyond returns the first track with the effect that has no counterpart in the other list.
func firstBeyond(tracks, other []Track, effect Effect) (Track, bool) {
	for _, t := range tracks {
		if t.Effect == effect && !slices.ContainsFunc(other, func(o Track) bool {
			return o.Kind == t.Kind && o.Name == t.Name && o.Effect == effect
		}) {
			return t, true
		}
	}
	return Track{}, false
}

// setTracks applies a new list. A router that is already the last resort hands over again only for another track: if all
// routers are last resorts, the last one to hand over stays master.
func (m *Machine) setTracks(tracks []Track, now time.Time) {
	old, was := m.tracks, m.effects
	m.retime(now, func() { m.tracks, m.effects = tracks, combine(tracks) })
	added, more := firstBeyond(tracks, old, EffectLastResort)
	removed, less := firstBeyond(old, tracks, EffectLastResort)
	switch m.state {
	case Initialize:
		m.reconsiderFault(was.fault, now)
	case Backup:
		if m.effects.fault != "" {
			m.initialize(m.effects.fault, now)
		}
	case Master:
		switch {
		case m.effects.fault != "":
			m.leave(departure{next: Initialize, reason: m.effects.fault}, now)
		case more:
			m.leave(departure{next: Backup, reason: added.reason()}, now)
		case less && removed.Kind == TrackAddresses:
			m.act(AddAddresses{m.in.Addresses, m.in.Routing})
			m.announce(now)
		}
	case Leaving:
		switch {
		case m.leaving.final:
		case m.effects.fault != "":
			m.leaving = departure{next: Initialize, reason: m.effects.fault}
		case m.leaving.next == Initialize:
			// It has sent priority 0 and lets the others take over.
			m.leaving.next, m.leaving.recovered = Backup, true
		case less && !m.effects.lastResort && !m.leaving.recovered && !m.leaving.giveUp:
			m.stay(removed.Kind.reasonBack(), now)
		}
	}
}

// reconsiderFault starts an instance whose fault is over, or updates the reason of its fault.
func (m *Machine) reconsiderFault(was Reason, now time.Time) {
	switch fault := m.effects.fault; {
	case m.missing != "" || fault == was:
	case fault == "":
		m.begin(now)
	default:
		m.enter(Initialize, fault, now)
	}
}

// Weigh returns the effect of a result on an instance. A positive weight is added while the result is good, a negative
// one while it is bad; with weight 0 a bad result is a fault. If reverse is set, the sign of the offset changes, and with
// weight 0 a good result is the fault.
func Weigh(good bool, weight int, reverse bool) (Effect, int) {
	switch {
	case weight == 0 && good == reverse:
		return EffectFault, 0
	case weight == 0 || good != (weight > 0):
		return EffectNone, 0
	case reverse:
		return EffectOffset, -weight
	}
	return EffectOffset, weight
}

// WeighNumber returns the effect of a number read from a file on an instance. The product of number and weight is added;
// a product of -254 or less is a fault. With weight 0, any number other than 0 is a fault. If reverse is set, the sign of
// the offset changes, and with weight 0 the number 0 is the fault.
func WeighNumber(number, weight int, reverse bool) (Effect, int) {
	const most = maxTrackWeight + 1
	product := min(max(number, -most), most) * weight
	if reverse {
		product = -product
	}
	switch {
	case weight == 0 && (number != 0) != reverse, product <= -most:
		return EffectFault, 0
	case product == 0:
		return EffectNone, 0
	}
	return EffectOffset, min(product, maxTrackWeight)
}
