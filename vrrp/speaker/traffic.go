package speaker

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

const (
	noteInterval     = time.Second // minimum time between two log messages of one kind about a router's packets; a line costs more than a packet
	settingsInterval = time.Minute // the same, for differing settings of its peers
	sendWarnInterval = 10 * time.Second
)

// advertise queues the router's advert with a priority to all its destinations.
func (e *engine) advertise(r *router, priority uint8, now time.Time) {
	w := r.out()
	if w.socket == nil {
		r.sendErrors++
		return
	}
	if err := r.prepare(w, priority); err != nil {
		r.sendErrors++
		e.log.Error("advert not built", "instance", r.instance.Name, "error", err)
		return
	}
	if r.instance.Signs() {
		if r.adverts[0].queued {
			e.flushWire(w, now) // before sign overwrites the trailer
		}
		r.sign(e.clock())
	}
	for _, o := range r.adverts {
		e.put(w, r, o)
	}
}

func (e *engine) sendFailed(r *router, err error, now time.Time) {
	if !r.unsendable && now.Sub(r.recorded) >= noteInterval {
		r.recorded = now
		r.flight.SendFailed(err.Error(), now)
	}
	r.unsendable = true
	if now.Sub(r.warned) < sendWarnInterval {
		return
	}
	r.warned = now
	hint := capabilityHint(err, "CAP_NET_RAW")
	if errors.Is(err, unix.EPERM) {
		hint = ": a packet filter on this host drops it; allow outgoing protocol 112"
	}
	e.log.Warn("advert not sent", "instance", r.instance.Name, "interface", r.key.Interface, "error", err.Error()+hint)
}

// receive handles a packet and passes a valid advert to its router.
func (e *engine) receive(w *wire, p datagram, now time.Time) {
	env := vrrp.Envelope{Family: w.key.Family, Source: p.From, Destination: p.To, HopLimit: p.TTL}
	reason := vrrp.DropTruncated
	if !p.Truncated {
		reason = vrrp.Parse(p.Data, env, &e.advert)
	}
	var r *router
	if len(p.Data) > 1 {
		r = w.routers[p.Data[1]] // the virtual router ID, even if the packet is otherwise invalid
		if r == nil && p.To.IsValid() && !p.To.IsMulticast() && e.routers[routerKey{w.key.Interface, w.key.Family, p.Data[1]}] != nil {
			return // the sockets of all groups receive unicast packets
		}
	}
	if reason == vrrp.NotDropped {
		reason = e.check(r, p.Data, env)
	}
	switch reason {
	case vrrp.NotDropped:
	case ignored:
		return
	default:
		if reason == vrrp.DropVRIDUnknown {
			e.otherRouterID(w, p.From, now)
		}
		e.drop(w, r, reason, env, now)
		if r != nil && settingsDiffer(reason) {
			e.refusedAdvert(r, reason, env, now)
		}
		return
	}
	r.received++
	different := r.checkAddresses(&e.advert)
	if different {
		e.otherRouterID(w, p.From, now)
	}
	if different && now.Sub(r.differenceNoted) >= noteInterval {
		r.differenceNoted = now
		e.outside.Warn("another router advertises other addresses", "instance", r.instance.Name, "router", p.From,
			"addresses", listAddresses(e.advert.Addresses), "adverts", r.mismatched)
	}
	e.noteLateness(r, p)
	e.step(r, vrrp.Received{Source: p.From, Priority: e.advert.Priority, Interval: e.advert.Interval, At: p.At}, now)
	if e.contested(r, now) {
		e.anotherMaster(r, p.From, now)
	}
}

// noteLateness counts how late an advert of a backup's master is, by the arrival of the one before. The last advert of a
// master that resigns comes early.
func (e *engine) noteLateness(r *router, p datagram) {
	if r.machine.State() != vrrp.Backup || e.advert.Priority == vrrp.PriorityResign {
		r.heard = time.Time{}
		return
	}
	if !r.heard.IsZero() && r.heardFrom == p.From {
		e.late.Add(p.At.Sub(r.heard) - e.advert.Interval)
	}
	r.heard, r.heardFrom = p.At, p.From
}

// contestedGap is the minimum time between two reactions to another master.
const contestedGap = time.Second

// contested makes a master that remains master despite another master's advert announce its addresses two more times,
// because the other master may have announced them after this one. It reports whether the advert was another master's.
func (e *engine) contested(r *router, now time.Time) bool {
	if r.machine.State() != vrrp.Master || e.advert.Priority == vrrp.PriorityResign {
		return false
	}
	if now.Sub(r.contested) >= contestedGap {
		r.contested = now
		e.kernel.repeat(r.holder)
		if r.vmac != nil && r.idle() { // the other master has directed the virtual MAC address to itself
			e.advertise(r, r.machine.Priority(), now)
		}
	}
	return true
}

// ignored is in place of a reason for a valid packet that nobody waits for.
const ignored = vrrp.DropReasons

func (e *engine) check(r *router, packet []byte, env vrrp.Envelope) vrrp.DropReason {
	if r == nil {
		return vrrp.DropVRIDUnknown
	}
	if reason := r.instance.Check(&e.advert, env, r.source); reason != vrrp.NotDropped {
		return reason
	}
	if r.machine.State() == vrrp.Initialize {
		return ignored
	}
	if r.authenticator != nil {
		return r.authenticator.Verify(packet, &e.advert, env.Source, e.clock())
	}
	return vrrp.NotDropped
}

// drops counts dropped packets by reason.
type drops struct {
	count [vrrp.DropReasons]uint64
	noted [vrrp.DropReasons]time.Time // time of the last log message
}

// drop counts a dropped packet, at its router or, if it has none, at the interface.
func (e *engine) drop(w *wire, r *router, reason vrrp.DropReason, env vrrp.Envelope, now time.Time) {
	counts, name := &w.drops, ""
	if r != nil {
		if r.drops == nil {
			r.drops = &drops{}
		}
		counts, name = r.drops, r.instance.Name
	}
	counts.count[reason]++
	if r != nil {
		r.flight.Dropped(reason, env.Source, now)
	} else {
		w.recordUnknown(reason, env.Source, now)
	}
	level, every := slog.LevelDebug, noteInterval
	if r != nil && (settingsDiffer(reason) || reason == vrrp.DropTTL && len(r.instance.UnicastPeers) > 0) {
		level, every = slog.LevelWarn, settingsInterval
	}
	if !e.log.Enabled(context.Background(), level) || now.Sub(counts.noted[reason]) < every {
		return
	}
	counts.noted[reason] = now
	e.outside.Log(context.Background(), level, "packet dropped", "reason", reason.String(), "instance", name,
		"interface", w.key.Interface, "source", env.Source, "destination", env.Destination, "ttl", env.HopLimit, "packets", counts.count[reason])
}

// settingsDiffer reports whether a packet was dropped because two nodes of a virtual router are configured differently.
func settingsDiffer(reason vrrp.DropReason) bool {
	switch reason {
	case vrrp.DropInstanceVersion, vrrp.DropChecksumMode, vrrp.DropAuthType, vrrp.DropAuthFailed, vrrp.DropAuthMissing,
		vrrp.DropAuthMalformed, vrrp.DropAuthStale, vrrp.DropAuthKeyUnknown,
		vrrp.DropIntervalMismatch, vrrp.DropDestination, vrrp.DropNotAPeer:
		return true
	}
	return false
}
