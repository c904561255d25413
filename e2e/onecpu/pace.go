package onecpu

import (
	"net/netip"
	"slices"
	"sync"
	"time"
)

// advert has the relevant fields of an advert.
type advert struct {
	at       time.Time
	source   netip.Addr
	vrid     uint8
	priority uint8
}

// span is a time in which no advert arrived, or in which a CPU was stalled.
type span struct {
	from, to time.Time
}

func (s span) length() time.Duration { return s.to.Sub(s.from) }

// overlap returns how much of a span falls within another one.
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

// within returns how much of the stalls of one CPU, in their order, falls within a window.
func within(window span, stalls []span) (in time.Duration) {
	first, _ := slices.BinarySearchFunc(stalls, window.from, func(s span, from time.Time) int { return s.to.Compare(from) })
	for _, s := range stalls[first:] {
		if !s.from.Before(window.to) {
			break
		}
		in += window.overlap(s)
	}
	return in
}

// pace monitors the adverts of all virtual routers.
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
	master netip.Addr // the director expected to advertise
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

// stalled records that the CPU of a director was stalled.
func (p *pace) stalled(director netip.Addr, s span) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stalls[director] = append(p.stalls[director], s)
}

// routers returns the number of virtual routers that a source is master of.
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

// begin discards earlier measurements. The last adverts are kept, to detect a gap that began earlier.
func (p *pace) begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count, p.longest, p.gaps, p.takeovers = 0, span{}, nil, nil
	clear(p.stalls)
}

// end counts a gap that has not ended.
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

// figures returns the results. Stalls of the host are subtracted from gaps, and takeovers caused by them are counted apart.
func (p *pace) figures() Figures {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := Figures{Adverts: p.count, Gap: p.longest.length(), TakeoversInStalls: 0}
	for _, all := range p.stalls {
		slices.SortFunc(all, func(a, b span) int { return a.to.Compare(b.to) })
	}
	for _, g := range p.gaps {
		f.OwnGap = max(f.OwnGap, g.length()-within(g.span, p.stalls[g.master]))
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

// stalledBefore reports whether a director was stalled for two intervals just before a takeover: together with the time to
// the next advert and the skew time, that is a master-down interval.
func (p *pace) stalledBefore(at time.Time) bool {
	window := span{at.Add(-(MaxIntervals + 2) * p.interval), at}
	for _, all := range p.stalls {
		if within(window, all) >= 2*p.interval {
			return true
		}
	}
	return false
}
