package speaker

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// framer announces one address: with an ARP request and reply for IPv4, with a neighbour advertisement for IPv6. It
// returns the number of packets sent.
type framer interface {
	Announce(ifc netInterface, a netip.Addr) (packets int, err error)
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

	// After paceFrames packets the announcer pauses for pacePause. This limits it to 64,000 packets a second, a twentieth
	// of a gigabit, which leaves room for traffic in receivers' queues.
	paceFrames = 64
	pacePause  = time.Millisecond
)

// vmacRounds are the times between the first rounds of a router with a virtual MAC address. Until the former master has
// removed the addresses, its answers direct the MAC address to it.
var vmacRounds = [...]time.Duration{2 * time.Millisecond, 8 * time.Millisecond}

// announcer sends bursts: the first round on the caller's goroutine, the rest on its own.
type announcer struct {
	log    *slog.Logger
	framer framer
	lookup func(name string) netInterface
	wake   wakeup

	mu      sync.Mutex
	running map[*holder]*running
	paced   int
}

type running struct {
	burst
	sent int // rounds
	next time.Time
	last time.Time // start of the last round
}

func newAnnouncer(log *slog.Logger, f framer, lookup func(string) netInterface) *announcer {
	return &announcer{log: log, framer: f, lookup: lookup, wake: newWakeup(), running: map[*holder]*running{}}
}

// Announce starts a burst, replacing the router's former one, and returns when its first round has been sent. A router
// that has just sent a round sends the next one only after secondRound.
func (a *announcer) Announce(b burst) {
	a.begin(b, true)
	a.wake.notify()
}

// AnnounceNow is Announce for a few addresses, without pauses. The caller must notify a.wake afterwards.
func (a *announcer) AnnounceNow(b burst) { a.begin(b, false) }

func (a *announcer) begin(b burst, paced bool) {
	now := time.Now()
	r := &running{burst: b}
	a.mu.Lock()
	former := a.running[b.holder]
	a.running[b.holder] = r
	if former != nil && now.Sub(former.last) < secondRound {
		r.last, r.next = former.last, former.last.Add(secondRound)
	} else {
		r.started(now)
	}
	a.mu.Unlock()
	if r.sent > 0 {
		a.round(r, paced)
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

// run sends the rounds that follow the first until ctx ends.
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
			a.round(r, true)
		}
	}
}

// due returns a burst whose next round is due, or the time until one will be due; zero means never.
func (a *announcer) due(now time.Time) (*running, time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var first time.Time
	for _, r := range a.running {
		switch {
		case r.sent >= r.rounds:
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

// round announces each address once. It ends early if the burst is stopped.
func (a *announcer) round(r *running, paced bool) {
	for _, t := range r.targets {
		ifc := a.lookup(t.Interface)
		if t.Interface == r.holder.vmac {
			ifc.Hardware = r.holder.mac() // it may just have been set
		}
		if ifc.Index == 0 || ifc.NoARP {
			continue
		}
		if !a.pace(r, paced) {
			return
		}
		n, err := a.framer.Announce(ifc, t.Prefix.Addr())
		r.holder.announced.Add(uint64(n))
		if err != nil && a.wants(r) {
			a.log.Warn("announcement not sent", "instance", r.name, "interface", t.Interface, "address", t.Prefix.Addr(),
				"error", err)
		}
		if err != nil {
			return
		}
	}
}

// wants reports whether the burst has not been stopped or replaced.
func (a *announcer) wants(r *running) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.running[r.holder] == r
}

// pace pauses, if that is permitted and enough packets were sent in a row. It returns false if the burst is over.
func (a *announcer) pace(r *running, pause bool) bool {
	a.mu.Lock()
	wanted := a.running[r.holder] == r
	a.paced++
	full := a.paced%paceFrames == 0
	a.mu.Unlock()
	if wanted && full && pause {
		time.Sleep(pacePause)
	}
	return wanted
}
