//go:build !race

package vrrp

import (
	"net/netip"
	"slices"
	"time"
	"unsafe"
)

// host is a machine with a clock and a process, which has a router in each network.
type host struct {
	id      int
	members []*router
	group   *Group // of the running process; nil if there is only one network
	apart   bool   // its routers are in no group

	offset time.Duration // of its monotonic clock
	ppm    int64         // drift of its monotonic clock; positive is fast
	wall   time.Duration // error of its wall clock, which must not affect machines

	off      bool          // no power: no process, no addresses
	lag      time.Duration // maximum delay after each step until the process is scheduled again
	asleep   time.Duration // until then the process is not scheduled
	stopping bool
	ended    time.Duration // when its process ended
}

// addressChange is a change to the addresses of an interface, one bit for each.
type addressChange struct {
	at          time.Duration
	add, remove uint16
}

// router is a virtual router of a host's process, with the addresses on its interface.
type router struct {
	*host
	index   int // in all networks
	network int
	name    string
	m       *Machine // nil if the process is not running
	in      Instance
	source  netip.Addr

	side int  // packets reach only routers on the same side
	deaf bool // its packet filter drops what it receives
	mute bool // ... or sends
	link bool // its interface is up

	busy    time.Duration   // until then it carries out the actions of its last step, or is not scheduled
	owned   uint16          // addresses on the interface, one bit for each
	changes []addressChange // of its addresses, in order
	found   bool            // addresses were on the interface at start, and no other master's advert has arrived since

	tracks []Track
	known  struct { // the last in and tracks passed to the machine
		in     Instance
		tracks []Track
	}

	heardAt     time.Duration // last advert of a master, as backup
	resignedAt  time.Duration // last priority 0, as backup
	lesserSince time.Duration // first of a series of adverts of lower priority; -1 if the last had a higher one

	wasMaster    bool                    // when its process ended
	number       uint64                  // packets sent
	adverts      []time.Duration         // send times of the last ones
	sent         time.Duration           // the last advert other than priority 0
	heardLast    [maxHosts]time.Duration // arrival of the last advert from each host
	becameMaster time.Duration           // last
	masterships  int
}

// instant returns a time with independent monotonic and wall clock readings. It relies on the layout of time.Time, which
// TestInstant checks.
func instant(monotonic, wall time.Duration) time.Time {
	var t time.Time
	f := (*struct {
		wall uint64
		ext  int64
	})(unsafe.Pointer(&t))
	const nsecBits, monotonicFlag, secondsTo2026 = 30, 1 << 63, 141 * 31_556_952
	f.wall = monotonicFlag | uint64(secondsTo2026+int64(wall/time.Second))<<nsecBits | uint64(wall%time.Second)
	f.ext = int64(monotonic)
	return t
}

// wallBase keeps the wall clocks of all simulated routers after the epoch of time.Time.
const wallBase = 1000 * time.Hour

func (h *host) local(now time.Duration) time.Duration {
	return h.offset + now + now/1_000_000*time.Duration(h.ppm)
}

func (h *host) clock(now time.Duration) time.Time {
	return instant(h.local(now), wallBase+h.wall+now)
}

// at returns the first time at which the host's clock shows t.
func (h *host) at(t time.Time) time.Duration {
	want := t.Sub(instant(0, 0)) - h.offset
	if h.ppm == 0 {
		return want
	}
	now := want - want/1_000_000*time.Duration(h.ppm)
	now += want - (h.local(now) - h.offset)
	for h.local(now)-h.offset < want {
		now++
	}
	return now
}

// running reports whether the router's process runs and is not in Initialize.
func (r *router) running() bool { return r.m != nil && r.m.State() != Initialize }

func (r *router) state() State {
	if r.m == nil {
		return Initialize
	}
	return r.m.State()
}

// prepareProcess starts the process of a host, whose routers then wait for Up.
func (h *host) prepareProcess() {
	h.off, h.stopping, h.group = false, false, nil
	var machines []*Machine
	for _, r := range h.members {
		r.m = NewMachine(r.in)
		r.known.in, r.known.tracks, r.tracks = r.in, nil, nil
		machines = append(machines, r.m)
	}
	if len(machines) > 1 && !h.apart {
		h.group = NewGroup(machines...)
	}
}

// boot starts a host's process, if none is running. A router continues as master if it was master until a moment ago:
// see condition.go of the speaker.
func (l *lan) boot(r *router) {
	if r.m != nil || l.networks == 1 && !r.link {
		return
	}
	r.prepareProcess()
	l.share(r.host)
	for _, o := range r.members {
		o.owned, o.changes = o.future(), nil
		if !o.link {
			o.owned = 0
			continue
		}
		o.owned &= bits(o.in.Addresses)
		o.found = o.owned != 0
		adopt := o.found && o.wasMaster && l.now-o.sent < rfcMasterDown(3, PriorityOwner, o.in.AdvertiseInterval)
		l.tell(o, Up{Source: o.source, HaveAddresses: o.found, Adopt: adopt})
	}
}

// killProcess leaves the addresses on the interfaces.
func (l *lan) killProcess(r *router) {
	r.ended, r.group, r.asleep = l.now, nil, l.now
	for _, o := range r.members {
		l.note(o, "process killed")
		l.lose(o)
		o.wasMaster = o.state() == Master
		o.m = nil
		o.busy = l.now
	}
	l.flying = slices.DeleteFunc(l.flying, func(f flight) bool { return f.to != nil && f.to.host == r.host || f.to == nil && f.from.host == r.host })
}

// kill simulates a power failure: the routers and their addresses are gone.
func (l *lan) kill(r *router) {
	l.killProcess(r)
	r.off = true
	for _, o := range r.members {
		o.owned, o.changes = 0, nil
	}
}

// lose makes a router unreachable for hosts: they resolve the addresses again when the neighbour in their cache fails. A
// master may not have had time to correct other routers' announcements.
func (l *lan) lose(r *router) {
	switch {
	case l.announced[r.network] == r:
		l.announced[r.network] = nil
	case r.state() == Master:
		l.lossy = true
	}
}

// stop asks a host's process to end.
func (l *lan) stop(r *router) {
	if r.m == nil {
		return
	}
	r.stopping = true
	for _, o := range r.members {
		l.tell(o, Resign{ReasonResignStop})
	}
}

// pause stops a host's process for some time.
func (l *lan) pause(r *router, d time.Duration) {
	for _, o := range r.members {
		o.busy = max(o.busy, l.now+d)
		r.asleep = max(r.asleep, o.busy)
	}
}

// plug changes the state of a router's link.
func (l *lan) plug(r *router, link bool) {
	switch {
	case r.link == link:
	case link:
		r.link = true
		l.share(r.host)
		l.up(r, r.source)
	default:
		r.link = false
		l.lose(r)
		l.tell(r, Down{Reason: ReasonInterfaceDown})
		l.share(r.host)
	}
}

// up tells a router that its interface is usable and has an address, unless its process is ending.
func (l *lan) up(r *router, source netip.Addr) {
	if r.m == nil || !r.link || r.stopping {
		r.source = source
		return
	}
	l.tell(r, Up{Source: source})
}

// track changes one of a router's tracks. One that changes the priority belongs to the whole group.
func (l *lan) track(r *router, t Track, present bool) {
	if r.m == nil {
		return
	}
	for _, o := range r.members {
		if o != r && t.Effect != EffectOffset {
			continue
		}
		o.tracks = slices.DeleteFunc(slices.Clone(o.tracks), func(old Track) bool { return old.Name == t.Name && old.Kind == t.Kind })
		if present {
			o.tracks = append(o.tracks, t)
		}
	}
	l.share(r.host)
}

// share gives each router of a host its tracks, and those that the others share.
func (l *lan) share(h *host) {
	for _, r := range h.members {
		tracks := slices.Clone(r.tracks)
		for _, o := range h.members {
			missing := Reason("")
			if !o.link {
				missing = ReasonInterfaceDown
			}
			if o != r && h.group != nil {
				tracks = append(tracks, Shared("group", o.name, missing, o.tracks)...)
			}
		}
		l.tell(r, SetTracks{tracks})
	}
}

// reload changes the configuration of a host's routers.
func (l *lan) reload(r *router, change func(*Instance)) {
	for _, o := range r.members {
		change(&o.in)
		o.adverts = o.adverts[:0]
		l.tell(o, Configure{o.in})
	}
}
