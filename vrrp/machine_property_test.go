package vrrp

import (
	"encoding/json"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// observer is a machine with its externally visible state: the addresses that its actions left on the interface.
type observer struct {
	m        *Machine
	now      time.Time
	owned    map[Address]bool
	leftover bool // owned without having been master, and no other master's advert received since
}

func TestMachineInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := &observer{m: NewMachine(drawInstance(t)), now: epoch, owned: map[Address]bool{}}
		for range rapid.IntRange(1, 60).Draw(t, "events") {
			o.wait(t)
			o.step(t, o.drawEvent(t))
			if at, ok := o.m.Takeover(); ok && rapid.Bool().Draw(t, "prepare") {
				early := at.Add(-time.Duration(rapid.IntRange(0, int(PrepareTime)).Draw(t, "ns early")))
				o.now = later(o.now, max(early.Sub(o.now), 1))
				o.step(t, Prepare{})
			}
		}
	})
}

func drawInstance(t *rapid.T) Instance {
	in := v3()
	if rapid.Bool().Draw(t, "version 2") {
		in = v2()
	}
	in.Priority = rapid.SampledFrom([]uint8{1, 2, 99, 100, 101, 254, 255}).Draw(t, "configured priority")
	in.AdvertiseInterval *= time.Duration(rapid.IntRange(1, 3).Draw(t, "interval"))
	in.Preempt = rapid.Bool().Draw(t, "preempt")
	in.PreemptDelay = rapid.SampledFrom([]time.Duration{0, 500 * time.Millisecond}).Draw(t, "preempt delay")
	in.Announce.RepeatAfter = rapid.SampledFrom([]time.Duration{0, 5 * time.Second}).Draw(t, "repeat after")
	in.Announce.Refresh = rapid.SampledFrom([]time.Duration{0, 3 * time.Second}).Draw(t, "refresh")
	in.Addresses = nil
	for _, p := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"10.0.0.1/24", "10.0.0.1/32", "10.0.0.2/24", "10.0.0.3/24"}), 1, 3,
		func(s string) string { return netip.MustParsePrefix(s).Addr().String() }).Draw(t, "addresses") {
		in.Addresses = append(in.Addresses, Address{Prefix: netip.MustParsePrefix(p)})
	}
	return in
}

// wait advances the time, often exactly to the deadline.
func (o *observer) wait(t *rapid.T) {
	due, ok := o.m.Deadline()
	if ok && due.After(o.now) && rapid.Bool().Draw(t, "until due") {
		o.now = due
		return
	}
	most := rapid.SampledFrom([]int{1_000, 2_000_000}).Draw(t, "most")
	o.now = o.now.Add(time.Duration(rapid.IntRange(0, most).Draw(t, "µs")) * time.Microsecond)
}

func (o *observer) drawEvent(t *rapid.T) Event {
	switch rapid.IntRange(0, 16).Draw(t, "event") {
	case 0:
		return Up{Source: ours, HaveAddresses: rapid.Bool().Draw(t, "have"), Adopt: rapid.Bool().Draw(t, "adopt")}
	case 1:
		return Up{Source: ours}
	case 2:
		return Down{rapid.SampledFrom([]Reason{ReasonSocket, ReasonInterfaceDown}).Draw(t, "reason")}
	case 3:
		return Configure{drawInstance(t)}
	case 4, 5, 6, 11:
		return SetTracks{drawTracks(t)}
	case 7:
		return Resign{ReasonResignStop}
	case 8, 9, 10:
		return Received{
			Source:   rapid.SampledFrom([]netip.Addr{lower, upper}).Draw(t, "source"),
			Priority: rapid.SampledFrom([]uint8{0, 1, 50, 99, 100, 101, 200, 255}).Draw(t, "priority"),
			Interval: time.Duration(rapid.IntRange(0, maxCentisec).Draw(t, "interval")) * centisecond,
		}
	case 12:
		return AddressesFound{}
	default:
		return Timeout{}
	}
}

func drawTracks(t *rapid.T) []Track {
	all := []Track{learning, failover, lost, degraded, refused, faulted}
	var out []Track
	for _, i := range rapid.SliceOfNDistinct(rapid.IntRange(0, len(all)), 0, 3, rapid.ID).Draw(t, "tracks") {
		if i == len(all) {
			out = append(out, offset(rapid.IntRange(-300, 300).Draw(t, "offset")).Tracks[0])
			continue
		}
		out = append(out, all[i])
	}
	return out
}

func (o *observer) step(t *rapid.T, ev Event) {
	before := o.m.Status()
	preempting := o.m.preemptBar() == ""
	lapsed := false
	if r, ok := ev.(Received); ok {
		lapsed = o.m.lapsed(r.Priority, o.now)
	}
	up, isUp := ev.(Up)
	_, found := ev.(AddressesFound)
	if isUp && before.State == Initialize && up.HaveAddresses || found && before.State == Backup {
		o.leftover = true
		for _, a := range o.m.in.Addresses {
			o.owned[a] = true
		}
	}
	state := before.State
	for _, a := range o.m.Step(ev, o.now) {
		switch a := a.(type) {
		case AddAddresses:
			for _, addr := range a.Addresses {
				o.owned[addr] = true
			}
		case RemoveAddresses:
			for _, addr := range a.Addresses {
				delete(o.owned, addr)
			}
		case Changed:
			if a.From != state || a.Reason == "" {
				t.Fatalf("%T%+v: %+v in state %s", ev, ev, a, state)
			}
			state = a.To
		case SendAdvert:
			if a.Priority != PriorityResign && a.Priority != o.m.Priority() {
				t.Fatalf("%T%+v: advert of priority %d, effective is %d", ev, ev, a.Priority, o.m.Priority())
			}
		}
	}
	if state != o.m.State() {
		t.Fatalf("%T%+v: state %s became %s unsaid", ev, ev, state, o.m.State())
	}
	o.checkEvent(t, ev, before, preempting, lapsed)
	o.checkOwnership(t, ev)
	o.checkDeadline(t, ev)
}

func (o *observer) checkEvent(t *rapid.T, ev Event, before Status, preempting, lapsed bool) {
	state := o.m.State()
	switch ev := ev.(type) {
	case Received:
		if ev.Priority != 0 {
			o.leftover = false
		}
		switch {
		case ev.Priority > o.m.Priority() && (state == Master || state == Leaving):
			t.Fatalf("%s after an advert of higher priority %d", state, ev.Priority)
		case before.State == Master && ev.Priority < before.EffectivePriority && state != Master && !lapsed:
			t.Fatalf("a master of %d yielded to %d", before.EffectivePriority, ev.Priority)
		case before.State == Backup && state != Backup:
			t.Fatalf("an advert made a backup %s", state)
		}
		if due, _ := o.m.Deadline(); before.State == Backup && ev.Priority != 0 && (ev.Priority >= before.EffectivePriority || !preempting) &&
			due.Sub(o.now) != o.m.Status().MasterDownTime {
			t.Fatalf("an accepted advert set the timer to %s, not to the master-down interval %s", due.Sub(o.now), o.m.Status().MasterDownTime)
		}
	case Resign:
		due, running := o.m.Deadline()
		switch {
		case running && state != Leaving:
			t.Fatalf("%s after a resignation", state)
		case running && o.m.due.Sub(o.now) > MaxFinalLeave:
			t.Fatalf("a resignation at %s lasts until %s", o.now, due)
		}
	case Down:
		if state != Initialize {
			t.Fatalf("%s after %+v", state, ev)
		}
	case SetTracks:
		o.checkTracks(t, ev, before)
	}
	if _, err := json.Marshal(o.m.Status()); err != nil {
		t.Fatal(err)
	}
}

// checkTracks checks that a fault ends participation, that a new last resort makes a master hand over, and that other
// changes do not move mastership.
func (o *observer) checkTracks(t *rapid.T, ev SetTracks, before Status) {
	state, e := o.m.State(), combine(ev.Tracks)
	_, more := firstBeyond(ev.Tracks, before.Tracks, EffectLastResort)
	switch {
	case e.fault != "" && state != Initialize && state != Leaving:
		t.Fatalf("%s with a fault", state)
	case before.State == Master && e.fault == "" && (state == Leaving) != more:
		t.Fatalf("a master became %s; a new last resort: %v", state, more)
	case before.State == Leaving && state != Leaving && state != Master, before.State == Backup && e.fault == "" && state != Backup:
		t.Fatalf("%s became %s by %+v", before.State, state, ev)
	case e.lastResort && o.m.Priority() != 1:
		t.Fatalf("priority %d as a last resort", o.m.Priority())
	case before.State == Initialize && state != Initialize && before.Reason != string(ReasonTrack) && before.Reason != string(ReasonAddressRefused):
		t.Fatalf("%+v started what is %s", ev, before.Reason)
	}
}

// checkOwnership checks that a master has all of its addresses, that a leaving one has only configured addresses, and that
// other routers have none, except for leftovers.
func (o *observer) checkOwnership(t *rapid.T, ev Event) {
	state, configured := o.m.State(), o.m.in.Addresses
	if state != Backup {
		o.leftover = false
	}
	for a := range o.owned {
		if !slices.Contains(configured, a) {
			t.Fatalf("%T%+v: %s owns %s, which is not configured", ev, ev, state, a.Prefix)
		}
	}
	switch {
	case state == Master && len(o.owned) != len(configured):
		t.Fatalf("%T%+v: a master owns %d of %d addresses", ev, ev, len(o.owned), len(configured))
	case state == Initialize && len(o.owned) > 0, state == Backup && len(o.owned) > 0 && !o.leftover && !(o.m.early && o.m.due.Sub(o.now) <= PrepareTime):
		t.Fatalf("%T%+v: %s owns %d addresses", ev, ev, state, len(o.owned))
	}
}

func (o *observer) checkDeadline(t *rapid.T, ev Event) {
	due, ok := o.m.Deadline()
	if ok != (o.m.State() != Initialize) {
		t.Fatalf("%T%+v: %s, and a deadline: %v", ev, ev, o.m.State(), ok)
	}
	if o.m.State() == Master && due.Sub(o.now) > o.m.in.AdvertiseInterval {
		t.Fatalf("%T%+v: the next advert only at %s, now it is %s", ev, ev, due, o.now)
	}
	if _, timeout := ev.(Timeout); timeout && ok && !due.After(o.now) {
		t.Fatalf("a timeout at %s leaves a deadline at %s", o.now, due)
	}
}
