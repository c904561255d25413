package speaker

import (
	"net/netip"
	"slices"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/flight"
	"github.com/lvs-ha/lvs-ha/internal/wallclock"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// routerKey identifies a virtual router. All other settings, including the instance's name, may change while it runs.
type routerKey struct {
	Interface       string
	Family          vrrp.Family
	VirtualRouterID uint8
}

// wireOf returns the key of an instance's socket.
func wireOf(in *vrrp.Instance) socketKey {
	key := socketKey{Interface: in.Interface, Family: in.Family}
	if in.Multicast() != vrrp.MulticastAddress(in.Family) {
		key.Group = in.Multicast()
	}
	return key
}

func keyOf(in *vrrp.Instance) routerKey {
	return routerKey{in.Interface, in.Family, in.VirtualRouterID}
}

// router is a virtual router: a machine and the state needed to carry out its actions.
type router struct {
	key           routerKey
	instance      vrrp.Instance // the machine's
	machine       *vrrp.Machine
	authenticator *vrrp.Authenticator // nil: none
	holder        *holder             // of its addresses
	flight        *flight.Log
	wire          *wire       // of its interface
	vmac          *virtualMAC // nil: none
	timer         timer

	// Actions are carried out in order; those that follow one submitted to the keeper wait.
	waiting  []work
	busy     bool
	linger   timer
	leads    bool   // is master, and has sent an advert since it became that
	takeover *claim // of the keeper's task, if it begins by adding addresses
	holds    bool   // the last task that changed addresses has added some
	early    timer  // before a takeover
	adding   bool   // the keeper's task ends by adding addresses
	added    bool   // ... and it has added all of them

	directorTracks []vrrp.Track
	tracks         []vrrp.Track // all, as last passed to the machine
	group          *group       // nil: none
	state          condition    // as last passed to the machine
	next           condition    // to be passed by updateConditions
	refused        refusedAddresses
	routesRefused  []string
	found          foundAddresses
	source         netip.Addr
	started        bool // has been up
	tenure         *tenureRecord
	adoptUntil     int64 // boot time until which it may continue as master of addresses already present; see tenures
	removed        bool  // leaving permanently
	changed        bool  // not yet reported to the director

	adverts     []*outgoing // built for advertPrio and advertWire
	advertWire  *wire
	advertReady bool
	advertPrio  uint8
	peerList    listDigest // of the last valid advert
	ownList     listDigest // of our adverts

	sent, sendErrors, received, mismatched uint64
	drops                                  *drops // nil: none
	transitions                            []vrrp.TransitionCount
	heard                                  time.Time // the last advert of the master, if this is a backup
	heardFrom                              netip.Addr
	warned                                 time.Time // of a failed send
	recorded                               time.Time // a failed send
	unsendable                             bool      // the last advert
	differenceNoted                        time.Time // of a peer's addresses
	contested                              time.Time // last reaction to another master
	news                                   masterNews
	conflicts                              conflicts
}

func newRouter(in vrrp.Instance, w *wire) *router {
	r := &router{
		key:     keyOf(&in),
		machine: vrrp.NewMachine(in),
		wire:    w,
		holder:  &holder{key: keyOf(&in)},
	}
	if in.VMAC != nil {
		r.vmac = &virtualMAC{}
		r.holder.vmac = in.VMAC.Interface
	}
	r.setInstance(in)
	return r
}

// idle reports whether no work is queued or in progress.
func (r *router) idle() bool { return !r.busy && len(r.waiting) == 0 }

// gone reports whether the router has left permanently.
func (r *router) gone() bool { return r.idle() && r.machine.State() == vrrp.Initialize }

// dependsOn reports whether the router uses the interface.
func (r *router) dependsOn(name string) bool {
	return r.key.Interface == name || r.instance.SourceAddress.IsValid() ||
		slices.ContainsFunc(r.instance.TrackInterfaces, func(t vrrp.TrackInterface) bool { return t.Interface == name }) ||
		slices.ContainsFunc(r.instance.Addresses, func(a vrrp.Address) bool { return a.Interface == name })
}

func (r *router) status(now time.Time) vrrp.Status {
	s := r.machine.Status()
	s.Since = wallclock.Export(s.Since, now)
	if r.group != nil {
		s.Group = r.group.name
	}
	s.Tracks = slices.Clone(s.Tracks)
	for i := range s.Tracks {
		s.Tracks[i].Since = wallclock.Export(s.Tracks[i].Since, now)
	}
	s.AddressesRefused = r.refused.lacking
	s.RoutesRefused = r.routesRefused
	s.AddressesFound = r.found.count
	s.Conflicts = r.conflicts.list(now)
	s.VMAC = r.vmacStatus()
	s.TransitionCounts = slices.Clone(r.transitions)
	s.Counters = r.counters()
	return s
}

func (r *router) counters() vrrp.Counters {
	c := vrrp.Counters{
		AdvertsSent: r.sent, AdvertsReceived: r.received, AnnouncesSent: r.holder.announced.Load(), RoutesRestored: r.holder.routesRestored.Load(),
		AddressesRestored: r.holder.restored.Load(), SendErrors: r.sendErrors, AddressMismatches: r.mismatched, InterfaceDropped: named(&r.wire.drops.count),
	}
	if r.drops != nil {
		c.Dropped = named(&r.drops.count)
	}
	return c
}

// isCounting reports whether only counters can differ from the status that was sent last, or is about to be. A machine is ahead of queued
// work, and evidence of a conflict is not sent each time.
func (r *router) isCounting() bool {
	return r.idle() && len(r.conflicts.open) == 0 && r.news.missed == 0
}

// countTransition counts a transition by its new state and its reason, of which there are few.
func (r *router) countTransition(c vrrp.Changed) {
	i := slices.IndexFunc(r.transitions, func(t vrrp.TransitionCount) bool { return t.To == c.To && t.Reason == c.Reason })
	if i < 0 {
		i = len(r.transitions)
		r.transitions = append(r.transitions, vrrp.TransitionCount{To: c.To, Reason: c.Reason})
	}
	r.transitions[i].Count++
}

// named returns the nonzero counters by the name of their reason.
func named(counts *[vrrp.DropReasons]uint64) map[string]uint64 {
	var out map[string]uint64
	for reason, n := range counts {
		if n == 0 {
			continue
		}
		if out == nil {
			out = map[string]uint64{}
		}
		out[vrrp.DropReason(reason).String()] = n
	}
	return out
}

// prepare builds the router's adverts with a priority for a wire, unless they are already built.
func (r *router) prepare(w *wire, priority uint8) error {
	if r.advertReady && r.advertPrio == priority && r.advertWire == w {
		return nil
	}
	r.adverts, r.advertReady = nil, false
	destinations := r.instance.UnicastPeers
	if len(destinations) == 0 {
		destinations = []netip.Addr{r.instance.Multicast()}
	}
	a := r.instance.Advert(priority)
	for _, to := range destinations {
		data, err := a.Append(nil, r.source, to)
		if err != nil {
			return err
		}
		if w.key.Frames {
			r.adverts = append(r.adverts, newAdvertFrame(data, r.holder.mac(), r.source, to, w.socket.index))
			continue
		}
		r.adverts = append(r.adverts, newOutgoing(data, r.source, to, w.socket.index))
	}
	r.advertReady, r.advertPrio, r.advertWire = true, priority, w
	return nil
}

// sign updates the trailers of the adverts that prepare has built.
func (r *router) sign(now time.Time) {
	sequence := r.authenticator.Next(now)
	for _, o := range r.adverts {
		r.authenticator.Sign(o.data, sequence, r.source, o.destination)
	}
}
