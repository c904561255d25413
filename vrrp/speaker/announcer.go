package speaker

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// framer sends one packet that announces an address: for IPv4 a gratuitous ARP request or reply, for IPv6 a neighbour
// advertisement.
type framer interface {
	Announce(ifc netInterface, a netip.Addr, reply bool) error
}

// burst is a series of rounds. Each round announces all addresses of a router.
type burst struct {
	holder  *holder
	name    string // of the instance
	targets []placed
	rounds  int
}

func newBurst(t task, addresses []vrrp.Address) burst {
	b := burst{holder: t.holder, name: t.name, rounds: max(t.count, 1)}
	if t.holder.vmac != "" {
		b.rounds += len(vmacRounds)
	}
	for _, a := range addresses {
		b.targets = append(b.targets, t.holder.key.place(a))
	}
	return b
}

const (
	// secondRound is the time from the first round to the second, which covers packet loss.
	secondRound = 100 * time.Millisecond

	// roundGap is the time between later rounds: Linux receivers ignore a second ARP for the same address within
	// one second (net.ipv4.neigh.*.locktime).
	roundGap = 1100 * time.Millisecond

	// The announcer sends at most paceFrames packets in paceTime on an interface. That is a twentieth of a gigabit, which
	// leaves room for traffic in receivers' queues.
	paceFrames = 64
	paceTime   = time.Millisecond
)

// vmacRounds are the times between the first rounds of a router with a virtual MAC address. Until the former master has
// removed the addresses, its answers direct the MAC address to it.
var vmacRounds = [...]time.Duration{2 * time.Millisecond, 8 * time.Millisecond}

// announcer sends bursts: the requests of the first round on the caller's goroutine, the rest on its own. With many routers,
// each address is thus announced before any is announced again. What a limit delays is sent on its own goroutine too.
type announcer struct {
	log    *slog.Logger
	framer framer
	lookup func(name string) netInterface
	wake   wakeup

	mu      sync.Mutex
	running map[*holder]*running
	begun   []*running // the rest of the first round is to be sent
	wanted  []vrrp.AnnounceLimit
	limits  map[limited]*limit
}

type running struct {
	burst
	sent int // rounds
	left int // packets of the current round
	next time.Time
	last time.Time // start of the last round
}

func newAnnouncer(log *slog.Logger, f framer, lookup func(string) netInterface) *announcer {
	return &announcer{log: log, framer: f, lookup: lookup, wake: newWakeup(), running: map[*holder]*running{}, limits: map[limited]*limit{}}
}

// Announce starts a burst, replacing the router's former one, and returns when the requests of its first round have been
// sent or a limit delays them. A router that has just sent a round sends the next one only after secondRound. The caller must
// call Continue afterwards.
func (a *announcer) Announce(b burst) { a.begin(b, true) }

// AnnounceNow is Announce for a few addresses, without pauses.
func (a *announcer) AnnounceNow(b burst) { a.begin(b, false) }

// Continue makes run send the rest of all bursts.
func (a *announcer) Continue() { a.wake.notify() }

func (a *announcer) begin(b burst, paced bool) {
	now := time.Now()
	r := &running{burst: b}
	a.mu.Lock()
	former := a.running[b.holder]
	if former != nil && former.left > 0 && slices.Equal(former.targets, b.targets) {
		// If it began again each time, a limit could keep it from ever reaching the last addresses.
		former.name, former.rounds = b.name, former.sent+b.rounds
		a.mu.Unlock()
		return
	}
	a.running[b.holder] = r
	if former != nil && now.Sub(former.last) < secondRound {
		r.last, r.next = former.last, former.last.Add(secondRound)
	} else {
		r.started(now)
	}
	begun := r.left > 0
	a.mu.Unlock()
	if begun {
		a.round(r, len(b.targets), paced)
	}
}

// repeat adds two rounds to a router's burst; the first follows soon.
func (a *announcer) repeat(h *holder) {
	a.mu.Lock()
	if r := a.running[h]; r != nil {
		r.rounds = max(r.rounds, r.sent+2)
		if soon := time.Now().Add(secondRound); soon.Before(r.next) || r.next.Before(time.Now()) {
			r.next = soon
		}
	}
	a.mu.Unlock()
	a.wake.notify()
}

// stop ends a router's burst because it no longer has the addresses.
func (a *announcer) stop(h *holder) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.running, h)
}

// started records the start of a round.
func (r *running) started(now time.Time) {
	r.sent++
	r.left = 2 * len(r.targets)
	r.last = now
	early := 0
	if r.holder.vmac != "" {
		early = len(vmacRounds)
	}
	switch {
	case r.sent <= early:
		r.next = now.Add(vmacRounds[r.sent-1])
	case r.sent == early+1:
		r.next = now.Add(secondRound)
	default:
		r.next = now.Add(roundGap)
	}
}

// run sends the rounds that follow the first, and what limits have delayed, until ctx ends.
func (a *announcer) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.wake:
		case <-timer.C:
		}
		for {
			r, in := a.due(time.Now())
			if r == nil {
				if in > 0 {
					timer.Reset(in)
				}
				break
			}
			a.round(r, 0, true)
		}
	}
}

// due returns a burst that may continue its round or whose next round is due, or the time until there will be one; zero
// means never.
func (a *announcer) due(now time.Time) (*running, time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delayed, first := a.delayed(now)
	if delayed != nil {
		return delayed, 0
	}
	for len(a.begun) > 0 {
		r := a.begun[0]
		a.begun = a.begun[1:]
		if a.running[r.holder] == r {
			return r, 0
		}
	}
	for _, r := range a.running {
		switch {
		case r.left > 0 || r.sent >= r.rounds:
		case !r.next.After(now):
			r.started(now)
			return r, 0
		case first.IsZero() || r.next.Before(first):
			first = r.next
		}
	}
	if first.IsZero() {
		return nil, 0
	}
	return nil, first.Sub(now)
}

// round sends a burst's round until some packets are left, which run sends. It ends early if the burst is stopped, or continues
// later if a limit delays it.
func (a *announcer) round(r *running, left int, pause bool) {
	for {
		p, ok := a.packet(r, left)
		if !ok {
			return
		}
		if err := a.framer.Announce(p.ifc, p.address, p.reply); err != nil {
			if a.giveUp(r) {
				a.log.Warn("announcement not sent", "instance", r.name, "interface", p.ifc.Name, "address", p.address, "error", err)
			}
			return
		}
		r.holder.announced.Add(1)
		if rest := a.sent(p); rest > 0 && pause {
			time.Sleep(rest)
		}
	}
}

// announcement is a packet of a round.
type announcement struct {
	ifc     netInterface
	address netip.Addr
	reply   bool
	limit   *limit
}

// packet returns the next packet of a burst's round. A round announces each address once, and then each IPv4 address again
// with an ARP reply, because some receivers accept only requests or only replies.
func (a *announcer) packet(r *running, left int) (announcement, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for a.running[r.holder] == r && r.left > 0 {
		if r.left == left {
			a.begun = append(a.begun, r)
			return announcement{}, false
		}
		t := r.targets[(2*len(r.targets)-r.left)%len(r.targets)]
		p := announcement{ifc: a.lookup(t.Interface), address: t.Prefix.Addr(), reply: r.left <= len(r.targets)}
		if t.Interface == r.holder.vmac {
			p.ifc.Hardware = r.holder.mac() // it may just have been set
		}
		if p.ifc.Index == 0 || p.ifc.NoARP || p.reply && p.address.Is6() {
			r.left--
			continue
		}
		p.limit = a.limitOf(r.holder, t)
		if !p.limit.admit(r, time.Now()) {
			return p, false
		}
		r.left--
		return p, true
	}
	return announcement{}, false
}

// sent records a packet that was sent, and returns how long to pause.
func (a *announcer) sent(p announcement) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	p.limit.sent(now)
	return p.limit.pace.sent(now)
}

// giveUp ends a burst's round. It returns false if the burst has been stopped or replaced.
func (a *announcer) giveUp(r *running) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	r.left = 0
	return a.running[r.holder] == r
}
