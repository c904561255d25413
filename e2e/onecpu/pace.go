package onecpu

import (
	"net/netip"
	"sync"
	"time"
)

// advert is what matters of an advert on the wire.
type advert struct {
	at       time.Time
	source   netip.Addr
	vrid     uint8
	priority uint8
}

// span is a time in which nothing came, or nothing ran.
type span struct {
	from, to time.Time
}

func (s span) length() time.Duration { return s.to.Sub(s.from) }

// overlap is how much of a span falls into another one.
func (s span) overlap(other span) time.Duration {
	from, to := s.from, s.to
	if other.from.After(from) {
		from = other.from
	}
	if other.to.Before(to) {
		to = other.to
	}
	return max(0, to.Sub(from))
}

// pace watches the adverts of all virtual routers.
type pace struct {
	interval time.Duration

	mu        sync.Mutex
	count     int
	last      map[uint8]advert
	longest   span
	gaps      []gap // over the budget
	takeovers []time.Time
	stalls    map[netip.Addr][]span
}

type gap struct {
	span
	master netip.Addr // who was to advertise
}

func newPace(interval time.Duration) *pace {
	return &pace{interval: interval, last: map[uint8]advert{}, stalls: map[netip.Addr][]span{}}
}

func (p *pace) heard(a advert) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count++
	before, known := p.last[a.vrid]
	p.last[a.vrid] = a
	if !known {
		return
	}
	if a.source != before.source {
		p.takeovers = append(p.takeovers, a.at)
	}
	silence := span{before.at, a.at}
	if silence.length() > p.longest.length() {
		p.longest = silence
	}
	if silence.length() > MaxIntervals*p.interval {
		p.gaps = append(p.gaps, gap{silence, before.source})
	}
}

// stalled notes that the CPU of a director stood still.
func (p *pace) stalled(director netip.Addr, s span) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stalls[director] = append(p.stalls[director], s)
}

// routers is how many virtual routers a source is master of.
func (p *pace) routers(source netip.Addr) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range p.last {
		if a.source == source {
			n++
		}
	}
	return n
}

// begin forgets what was before. The last adverts stay, so that a gap across the beginning is seen.
func (p *pace) begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count, p.longest, p.gaps, p.takeovers = 0, span{}, nil, nil
	clear(p.stalls)
}

// end counts a silence that goes on.
func (p *pace) end(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range p.last {
		if s := (span{a.at, now}); s.length() > MaxIntervals*p.interval {
			p.gaps = append(p.gaps, gap{s, a.source})
			if s.length() > p.longest.length() {
				p.longest = s
			}
		}
	}
}

// figures judges: what the machine stood still of a gap is not the program's, and no takeover is that comes out of such a gap.
func (p *pace) figures() Figures {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := Figures{Adverts: p.count, Gap: p.longest.length(), TakeoversInStalls: 0}
	for _, g := range p.gaps {
		own := g.length()
		for _, s := range p.stalls[g.master] {
			own -= g.overlap(s)
		}
		f.OwnGap = max(f.OwnGap, own)
	}
	if len(p.gaps) == 0 {
		f.OwnGap = f.Gap
	}
	for _, at := range p.takeovers {
		if p.stalledBefore(at) {
			f.TakeoversInStalls++
		} else {
			f.Takeovers++
		}
	}
	for _, all := range p.stalls {
		for _, s := range all {
			f.Stall = max(f.Stall, s.length())
		}
	}
	return f
}

// stalledBefore says whether a director stood still for two intervals just before a takeover: with the time to the next
// advert and the skew that is a master down interval.
func (p *pace) stalledBefore(at time.Time) bool {
	window := span{at.Add(-(MaxIntervals + 2) * p.interval), at}
	for _, all := range p.stalls {
		var in time.Duration
		for _, s := range all {
			in += window.overlap(s)
		}
		if in >= 2*p.interval {
			return true
		}
	}
	return false
}
