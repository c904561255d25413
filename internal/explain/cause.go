package explain

import (
	"cmp"
	"fmt"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/flight"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// The causes. Others are "track-" and the kind of a track, and the reasons of package vrrp for a fault.
const (
	Started          Code = "started"              // the process has started
	Recovered        Code = "recovered"            // a fault is over
	Replaced         Code = "speaker-replaced"     // the speaker process was killed, and another continued
	Owner            Code = "owner"                // priority 255
	NoMaster         Code = "no-master"            // no router was master
	StartupDelay     Code = "startup-delay-over"   //
	OwnStall         Code = "own-stall"            // this process did not run for a while
	AdvertsRefused   Code = "adverts-refused"      // adverts arrived, but were refused
	AdvertsFiltered  Code = "adverts-filtered"     // adverts reached the interface, but not this process
	MasterSilent     Code = "master-silent"        // adverts ceased to arrive
	MasterLeft       Code = "master-left"          // the master has sent priority 0
	PeerLowered      Code = "peer-priority-lower"  // the master has lowered its priority
	PeerRaised       Code = "peer-priority-higher" // the other router has raised its priority
	Reload           Code = "reload"               // a reload changed the priority
	HoldOver         Code = "hold-over"            // what kept it from preempting is over
	PreemptDelay     Code = "preempt-delay-over"   //
	LesserMaster     Code = "lesser-master"        // a router of lower priority was master
	BetterMaster     Code = "better-master"        // a router of higher priority became master
	EqualMaster      Code = "equal-master"         // another master with the same priority and a higher address
	Failover         Code = "operator-failover"    // requested by an operator
	FailoverEnded    Code = "operator-failover-ended"
	Ordered          Code = "operator-order" // for real servers of a tracked service
	DirectorLost     Code = "director-lost"
	DirectorBack     Code = "director-back"
	Unfit            Code = "ipvs-unusable" // the director cannot program the kernel's table
	Fit              Code = "ipvs-usable"   // or there is nothing to program
	AddressesRefused Code = "addresses-refused"
	AddressesBack    Code = "addresses-back"
	SyncGroup        Code = "sync-group" // another member of the sync group
	Stopped          Code = "stopped"    // lvs-ha was stopped
	Removed          Code = "removed"    // no longer in the configuration
	NobodyTookOver   Code = "nobody-took-over"
)

// cause is a code with what it is about.
type cause struct {
	code   Code
	detail string
	source string
	lasted time.Duration
	was    int // former priority
	is     int
}

// cause returns why the transition was made.
func (p *past) cause() cause {
	switch reason := vrrp.Reason(p.change.Text); reason {
	case vrrp.ReasonStartup, vrrp.ReasonOwner:
		return p.startCause(reason)
	case vrrp.ReasonMasterDownTimer:
		return p.silenceCause()
	case vrrp.ReasonPriorityZero:
		return cause{code: MasterLeft, source: p.source()}
	case vrrp.ReasonPreempt:
		return p.preemptCause()
	case vrrp.ReasonHigherPriority, vrrp.ReasonEqualHigherAddress, vrrp.ReasonLapsed:
		return p.yieldCause(reason)
	case vrrp.ReasonAddressesBack, vrrp.ReasonDirectorBack, vrrp.ReasonTrackBack:
		return p.backCause()
	default:
		return p.leaveCause(reason)
	}
}

func (p *past) source() string {
	if p.trigger != nil && p.trigger.Source.IsValid() {
		return p.trigger.Source.String()
	}
	if a := p.lastAdvert(); a != nil {
		return a.Source.String()
	}
	return ""
}

func (p *past) startCause(reason vrrp.Reason) cause {
	switch {
	case p.previous > p.started && p.records[p.previous].To == vrrp.Initialize && p.records[p.previous].Text != string(vrrp.ReasonTrackPending):
		return cause{code: Recovered, detail: p.records[p.previous].Text}
	case reason == vrrp.ReasonOwner:
		return cause{code: Owner}
	}
	return cause{code: Started}
}

// silenceCause explains why no advert was accepted in time.
func (p *past) silenceCause() cause {
	last := p.lastAdvert()
	c := cause{code: MasterSilent}
	if last != nil {
		c.source, c.lasted = last.Source.String(), p.change.At-last.At
	}
	stall := p.stall()
	for _, r := range p.after() {
		if r.Kind == flight.Conflicts && conflictOf(&r).Kind == vrrp.ConflictHidden {
			return cause{code: AdvertsFiltered, source: r.Source.String(), lasted: c.lasted}
		}
	}
	refused := p.refused()
	switch {
	case stall != nil:
		return cause{code: OwnStall, lasted: stall.Late}
	case refused != nil && (last != nil || vrrp.DropReason(refused.Code) != vrrp.DropVRIDUnknown):
		return cause{code: AdvertsRefused, detail: vrrp.DropReason(refused.Code).String(), source: refused.Source.String(), lasted: c.lasted}
	case last != nil:
		return c
	case p.instance.StartupDelay > 0:
		return cause{code: StartupDelay, lasted: p.instance.StartupDelay}
	}
	return cause{code: NoMaster}
}

// preemptCause explains why a router of lower priority was replaced.
func (p *past) preemptCause() cause {
	if c, ok := p.ownChange(true); ok {
		return c
	}
	last := p.lastAdvert()
	if last == nil {
		return cause{code: LesserMaster}
	}
	if was := p.advertBefore(last); was != nil && was.Priority >= was.Own && was.Priority > last.Priority {
		return cause{code: PeerLowered, source: last.Source.String(), was: int(was.Priority), is: int(last.Priority)}
	}
	c := cause{code: LesserMaster, source: last.Source.String(), is: int(last.Priority)}
	if p.instance.PreemptDelay > 0 {
		c.code, c.lasted = PreemptDelay, p.instance.PreemptDelay
	}
	return c
}

// yieldCause explains why a master yielded to another.
func (p *past) yieldCause(reason vrrp.Reason) cause {
	if stall := p.stall(); stall != nil || reason == vrrp.ReasonLapsed {
		c := cause{code: OwnStall, source: p.source()}
		if stall != nil {
			c.lasted = stall.Late
		}
		return c
	}
	if c, ok := p.ownChange(false); ok {
		return c
	}
	c := cause{code: BetterMaster, source: p.source()}
	if reason == vrrp.ReasonEqualHigherAddress {
		c.code = EqualMaster
	}
	if p.trigger == nil {
		return c
	}
	c.is = int(p.trigger.Priority)
	if was := p.advertBefore(p.trigger); was != nil && p.trigger.First == p.trigger.At && was.Priority < p.trigger.Priority && was.Priority < p.change.Own {
		return cause{code: PeerRaised, source: p.trigger.Source.String(), was: int(was.Priority), is: int(p.trigger.Priority)}
	}
	return c
}

// advertBefore returns the last advert of another kind that the same router sent before, in this process; nil if there was none.
func (p *past) advertBefore(advert *flight.Record) (last *flight.Record) {
	list := p.process()
	for i := range list {
		if r := &list[i]; r.Kind == flight.Received && r.Source == advert.Source && r.Priority != vrrp.PriorityResign && r.At < advert.First && (last == nil || r.At >= last.At) {
			last = r
		}
	}
	return last
}

// ownChange explains a change of the router's own priority, or the end of a hold, in the window.
func (p *past) ownChange(up bool) (cause, bool) {
	window := p.window()
	if len(window) == 0 {
		return cause{}, false
	}
	is := int(p.change.Own)
	if t := p.tracked; t != nil {
		for _, change := range changesOf(p.before, p.tracks) {
			if up && change.was.Effect == vrrp.EffectHold {
				return cause{code: HoldOver, detail: change.was.Name + ": " + change.was.Reason}, true
			}
			if was := int(t.Own); change.better() == up && (was < is) == up && was != is {
				code := trackCode(change.track())
				if up {
					code = cmp.Or(ends[code], code)
				}
				return cause{code: code, detail: change.describe(), was: was, is: is}, true
			}
		}
	}
	if c := p.changed; c != nil && p.former.Priority != p.instance.Priority && (p.former.Priority < p.instance.Priority) == up {
		return cause{code: Reload, was: int(p.former.Priority), is: int(p.instance.Priority)}, true
	}
	if c := p.changed; up && c != nil && (p.instance.Preempt != p.former.Preempt || p.instance.PreemptDelay != p.former.PreemptDelay) {
		return cause{code: Reload, detail: "preemption", was: is, is: is}, true
	}
	return cause{}, false
}

func trackCode(t vrrp.Track) Code {
	switch t.Kind {
	case vrrp.TrackFailover:
		return Failover
	case vrrp.TrackDirector:
		return DirectorLost
	case vrrp.TrackTable:
		return Unfit
	case vrrp.TrackAddresses:
		return AddressesRefused
	case vrrp.TrackGroup:
		return SyncGroup
	}
	return Code("track-" + string(t.Kind))
}

// ends are the causes that stand for the end of others.
var ends = map[Code]Code{Failover: FailoverEnded, DirectorLost: DirectorBack, Unfit: Fit, AddressesRefused: AddressesBack}

// backCause explains why a leaving router stays master.
func (p *past) backCause() cause {
	for _, change := range changesOf(p.before, p.tracks) {
		if !change.better() {
			continue
		}
		return cause{code: cmp.Or(ends[trackCode(change.was)], Recovered), detail: change.was.Name}
	}
	return cause{code: Recovered, detail: p.change.Text}
}

// leaveCause explains why a router left or has a fault.
func (p *past) leaveCause(reason vrrp.Reason) cause {
	switch reason {
	case vrrp.ReasonAdopted:
		return cause{code: Replaced}
	case vrrp.ReasonResignStop:
		return cause{code: Stopped}
	case vrrp.ReasonRemoved:
		return cause{code: Removed}
	case vrrp.ReasonGroup, vrrp.ReasonGroupFault:
		for _, t := range p.tracks {
			if t.Kind == vrrp.TrackGroup {
				return cause{code: SyncGroup, detail: "(" + t.Reason + ")"}
			}
		}
		if p.change.To == vrrp.Master {
			return cause{code: SyncGroup, detail: "became master"}
		}
		return cause{code: SyncGroup, detail: "left"}
	case vrrp.ReasonNobodyTookOver, vrrp.ReasonSuccessorMissing:
		return cause{code: NobodyTookOver}
	}
	for _, change := range changesOf(p.before, p.tracks) {
		if !change.better() {
			return cause{code: trackCode(change.track()), detail: change.describe()}
		}
	}
	for _, t := range p.tracks {
		if t.Effect == vrrp.EffectFault || t.Effect == vrrp.EffectLastResort {
			return cause{code: trackCode(t), detail: fmt.Sprintf("%s: %s", t.Name, t.Reason)}
		}
	}
	return cause{code: Code(reason), detail: p.instance.Interface}
}

// trackChange is a track whose effect changed.
type trackChange struct{ was, is vrrp.Track }

// changesOf returns the tracks whose effect differs.
func changesOf(before, after []vrrp.Track) []trackChange {
	var out []trackChange
	find := func(list []vrrp.Track, like vrrp.Track) vrrp.Track {
		for _, t := range list {
			if t.Name == like.Name && t.Kind == like.Kind {
				return t
			}
		}
		return vrrp.Track{}
	}
	for _, t := range after {
		if was := find(before, t); was.Effect != t.Effect || was.Offset != t.Offset {
			out = append(out, trackChange{was, t})
		}
	}
	for _, t := range before {
		if is := find(after, t); is.Name == "" {
			out = append(out, trackChange{t, is})
		}
	}
	return out
}

// weight orders effects: more is better.
func weight(t vrrp.Track) int {
	switch t.Effect {
	case vrrp.EffectFault:
		return -10_000
	case vrrp.EffectLastResort:
		return -1_000
	case vrrp.EffectOffset:
		return t.Offset
	}
	return 0
}

func (c trackChange) better() bool { return weight(c.is) > weight(c.was) }

func (c trackChange) track() vrrp.Track {
	if c.is.Name == "" {
		return c.was
	}
	return c.is
}

func (c trackChange) describe() string {
	if c.is.Name == "" {
		return c.was.Name + ": removed"
	}
	if c.is.Reason == "" {
		return c.is.Name
	}
	return c.is.Name + ": " + c.is.Reason
}
