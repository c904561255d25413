//go:build !race

package vrrp

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// An exploration visits every state that two or three machines can reach on a network where time advances in ticks and at
// most a few faults occur: docs/internals/vrrp.md.

const (
	tick      = 250 * time.Millisecond // a quarter of the interval
	longPause = 15                     // ticks: longer than any backup waits
)

// world is one state. All times in it are relative to now, so that states with the same future are equal.
type world struct {
	nodes   [3]node
	n       int
	packets []transit
	cut     bool // the first router is cut off from the others
	faults  int  // number of network faults that may still occur
	events  int  // number of events that may still happen to a router

	unheld  [2]uint8 // ticks during which no running router has had the addresses, on either side of a cut
	overlap uint8    // ticks during which two masters have received each other's adverts
}

// node is a machine with its environment. A machine is copied with its node; the arrays of its slices are never modified.
type node struct {
	m       Machine
	off     bool // no power
	stopped bool // its process has been asked to stop
	owned   bool // the addresses
	paused  uint8
	tracks  uint8 // bits of trackList
}

// transit is an advert in transit.
type transit struct {
	from, to int
	priority uint8
	late     bool // it arrives a tick later than the earliest time
}

// trackList holds the tracks that may appear and disappear.
var trackList = []Track{
	{Name: "eth1", Kind: TrackInterfaceLink, Effect: EffectOffset, Offset: -128},
	{Name: "director", Kind: TrackDirector, Effect: EffectLastResort},
	{Name: "script", Kind: TrackInterfaceLink, Effect: EffectFault},
	{Name: "sync", Kind: TrackConnectionSync, Effect: EffectHold, Reason: "learning"},
}

var exploreEpoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func source(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)}) }

func newWorld(events, faults int, routers ...Instance) *world {
	w := &world{n: len(routers), events: events, faults: faults}
	for i, in := range routers {
		w.nodes[i].m = *NewMachine(in)
		w.step(i, Up{Source: source(i)})
	}
	return w
}

func (w *world) clone() *world {
	c := *w
	c.packets = slices.Clone(w.packets)
	return &c
}

// step passes an event to a router and carries out the resulting actions immediately.
func (w *world) step(i int, ev Event) {
	nd := &w.nodes[i]
	nd.m.actions = nil // must not be shared with the world that this one was copied from
	for _, a := range nd.m.Step(ev, exploreEpoch) {
		switch a := a.(type) {
		case SendAdvert:
			for to := range w.n {
				if to != i && w.reach(i, to) {
					w.packets = append(w.packets, transit{from: i, to: to, priority: a.Priority})
				}
			}
		case AddAddresses:
			nd.owned = true
		case RemoveAddresses:
			nd.owned = false
		}
	}
	nd.m.actions = nil
	if nd.stopped && nd.m.State() == Initialize {
		nd.off, nd.stopped = true, false
	}
}

func (w *world) reach(a, b int) bool {
	return !w.nodes[b].off && !(w.cut && (a == 0) != (b == 0))
}

// pass advances the time by a tick: packets arrive, then timers expire.
func (w *world) pass() {
	arriving := w.packets
	w.packets = nil
	for _, p := range arriving {
		switch {
		case p.late || w.nodes[p.to].paused > 0:
			p.late = false
			w.packets = append(w.packets, p)
		case !w.nodes[p.to].off:
			w.step(p.to, Received{Source: source(p.from), Priority: p.priority, Interval: w.nodes[p.from].m.in.AdvertiseInterval})
		}
	}
	for i := range w.n {
		nd := &w.nodes[i]
		if nd.off {
			continue
		}
		if nd.paused > 0 {
			nd.paused--
		} else if due, ok := nd.m.Deadline(); ok && !due.After(exploreEpoch) {
			w.step(i, Timeout{})
		}
		nd.m.shift(tick)
	}
	w.count()
}

// shift moves all times of a machine back.
func (m *Machine) shift(d time.Duration) {
	for _, t := range [...]*time.Time{&m.since, &m.due, &m.again, &m.refresh, &m.reassert, &m.earlyUntil, &m.sent, &m.answered, &m.yielded,
		&m.announced, &m.preemptAfter, &m.started, &m.master.at, &m.rival.at} {
		if !t.IsZero() {
			*t = t.Add(-d)
		}
	}
}

// count updates the durations of gaps and overlaps.
func (w *world) count() {
	var running, held [2]bool // on either side of a cut
	masters := 0
	for i := range w.n {
		side := 0
		if w.cut && i > 0 {
			side = 1
		}
		nd := &w.nodes[i]
		switch {
		case nd.off:
			continue
		case nd.m.State() == Master && nd.paused == 0:
			masters++
			running[side] = true
		case nd.m.State() == Backup && nd.paused == 0:
			running[side] = true
		}
		held[side] = held[side] || nd.owned
	}
	for side := range w.unheld {
		w.unheld[side] = counted(w.unheld[side], running[side] && !held[side])
	}
	w.overlap = counted(w.overlap, masters > 1 && !w.cut)
}

func counted(n uint8, holds bool) uint8 {
	if !holds {
		return 0
	}
	return min(n+1, 200)
}

// settled reports whether the network is not cut and the right router is master, or no router can be.
func (w *world) settled() bool {
	if w.cut {
		return true
	}
	best, masters, backups := -1, 0, 0
	for i := range w.n {
		nd := &w.nodes[i]
		if nd.off {
			continue
		}
		switch nd.m.State() {
		case Master:
			masters++
			best = i
		case Backup:
			backups++
			if nd.owned {
				return false
			}
		case Leaving:
			return false
		}
	}
	if masters == 0 {
		return backups == 0
	}
	if masters > 1 {
		return false
	}
	for i := range w.n {
		nd := &w.nodes[i]
		if !nd.off && nd.m.State() == Backup && nd.mayPreempt() && nd.priority() > w.nodes[best].priority() {
			return false
		}
	}
	return true
}

// priority and mayPreempt derive their results from configuration and tracks, independently of the Machine.
func (nd *node) priority() int {
	switch {
	case nd.tracks&2 != 0:
		return 1
	case nd.m.in.Priority == 255:
		return 255
	case nd.tracks&1 != 0:
		return max(1, int(nd.m.in.Priority)-128)
	}
	return int(nd.m.in.Priority)
}

func (nd *node) mayPreempt() bool {
	return nd.tracks&8 == 0 && (nd.m.in.Preempt || nd.priority() == 255)
}

// misplaced returns a router whose addresses do not match its state.
func (w *world) misplaced() string {
	for i := range w.n {
		nd := &w.nodes[i]
		if nd.off {
			continue
		}
		state := nd.m.State()
		if nd.owned != (state == Master || state == Leaving) {
			return fmt.Sprintf("r%d is %s and has the addresses: %v", i, state, nd.owned)
		}
	}
	return ""
}

// encode writes the canonical form of a state.
func (w *world) encode(b []byte) []byte {
	b = append(b, bit(w.cut), byte(w.faults), byte(w.events), w.unheld[0], w.unheld[1], w.overlap)
	for i := range w.n {
		nd := &w.nodes[i]
		b = append(b, bit(nd.off)|bit(nd.stopped)<<1|bit(nd.owned)<<2, nd.paused, nd.tracks)
		if !nd.off {
			b = nd.m.encode(b)
		}
	}
	for _, p := range w.packets {
		b = append(b, byte(p.from)<<4|byte(p.to)<<1|bit(p.late), p.priority)
	}
	return b
}

func bit(v bool) byte {
	if v {
		return 1
	}
	return 0
}

// encode writes all parts of a machine that can affect its behaviour, with times relative to exploreEpoch.
// TestEncodeCoversEveryField checks the list of fields.
func (m *Machine) encode(b []byte) []byte {
	past := func(t time.Time, most time.Duration) { // only its age, up to a limit
		d := most
		if !t.IsZero() {
			d = min(exploreEpoch.Sub(t), most)
		}
		b = binary.LittleEndian.AppendUint64(b, uint64(d))
	}
	timer := func(t time.Time) {
		if t.IsZero() {
			b = append(b, 0)
			return
		}
		b = binary.LittleEndian.AppendUint64(append(b, 1), uint64(t.Sub(exploreEpoch)))
	}
	b = append(b, m.state[0], m.in.Priority, bit(m.in.Preempt)|bit(m.owns)<<1|bit(m.owed)<<2|bit(m.masterLeft)<<3|bit(m.missing == "")<<4|bit(m.early)<<5)
	if m.state != Initialize {
		timer(m.due)
		timer(m.again)
		timer(m.refresh)
		timer(m.reassert)
		timer(m.earlyUntil)
	}
	if m.state == Initialize {
		b = append(b, m.reason...)
	}
	if m.state == Master {
		past(m.sent, 4*m.in.AdvertiseInterval)
	}
	past(m.answered, m.in.AdvertiseInterval/answerPart)
	past(m.yielded, m.in.settleTime()) // holdDown, with flaps, is shorter than the master-down interval
	past(m.started, m.in.StartupDelay)
	past(m.announced, announceGap)
	b = append(b, byte(m.master.interval/tick), m.master.priority)
	if m.master.address.IsValid() {
		b = append(b, m.master.address.AsSlice()...)
	}
	if m.rivalAlive(exploreEpoch) {
		b = append(b, m.rival.priority, m.rival.address.As4()[3])
		timer(m.rival.at)
	}
	if t := m.preemptAfter; t.IsZero() || t.After(exploreEpoch) {
		timer(t)
	} else {
		b = append(b, 2)
	}
	if m.state == Leaving {
		b = fmt.Appendf(b, "%v", m.leaving)
	}
	return b
}
