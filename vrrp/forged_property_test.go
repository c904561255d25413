package vrrp

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// attack has an attacker on the network: forged adverts of any source, priority and interval, one at a time or in
// floods, to one router or to all.
type attack struct {
	lan     *lan
	rand    *rand.Rand
	sources []netip.Addr
}

func newAttack(l *lan, seed uint64) *attack {
	a := &attack{lan: l, rand: rand.New(rand.NewPCG(seed, 1)), sources: []netip.Addr{netip.MustParseAddr("10.0.0.66"), netip.MustParseAddr("10.0.0.200")}}
	for _, r := range l.routers {
		a.sources = append(a.sources, r.source)
	}
	return a
}

func choose[T any](a *attack, from ...T) T { return from[a.rand.IntN(len(from))] }

// packet is any advert that Instance.Check lets through: from another address than the receiver's own.
func (a *attack) packet(to *router) Received {
	in := to.m.in
	p := Received{
		Source:   choose(a, a.sources...),
		Priority: choose[uint8](a, 0, 0, 1, in.Priority-1, in.Priority, in.Priority, 254, 255, 255),
		Interval: choose(a, in.AdvertiseInterval, MinAdvertiseInterval, 333*centisecond, MaxAdvertiseInterval),
	}
	if p.Source == to.source {
		p.Source = a.sources[0]
	}
	if in.Version == 2 {
		p.Interval = in.AdvertiseInterval
	}
	return p
}

// run sends n packets.
func (a *attack) run(n int) {
	l := a.lan
	gap := choose[time.Duration](a, 3, 100, 2_000, 30_000, 400_000) * time.Microsecond
	victims := l.routers
	if a.rand.IntN(2) == 0 {
		victims = []*router{choose(a, l.routers...)}
	}
	alike := a.rand.IntN(3) == 0 // the same packet again and again
	p := a.packet(victims[0])
	for range n {
		for _, to := range victims {
			if !alike {
				p = a.packet(to)
			}
			if p.Source != to.source {
				l.flying = append(l.flying, flight{l.now, to, p})
			}
		}
		l.run(gap)
	}
}

// answersMost is how many adverts a router sends within its interval, whatever it hears: its own, an answer every tenth
// of it, and one whenever it becomes master, which takes half of it at least.
const answersMost = 1 + (answerPart + 1) + (settlePart + 1)

func TestForgedAdvertsAreAnsweredInMeasure(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := drawLAN(t)
		a := newAttack(l, rapid.Uint64().Draw(t, "attack"))
		for range 4 {
			a.run(rapid.SampledFrom([]int{1, 10, 300}).Draw(t, "packets"))
		}
		for _, r := range l.routers {
			for first, at := range r.adverts {
				last := first + answersMost
				if last < len(r.adverts) && r.adverts[last]-at < r.m.in.AdvertiseInterval {
					t.Fatalf("%s sent %d adverts within %s, shorter than its interval of %s:\n%s", r.name, answersMost+1,
						r.adverts[last]-at, r.m.in.AdvertiseInterval, l)
				}
			}
		}
	})
}

// TestForgedAdvertsEnd: after the last forged packet the addresses are served again within the time that the longest
// interval that may be adopted makes a backup wait, and one master is left.
func TestForgedAdvertsEnd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := drawLAN(t)
		factor := rapid.SampledFrom([]int{0, 1, 3, 10}).Draw(t, "factor")
		for _, r := range l.routers {
			r.m.in.AdoptFactor = factor
		}
		a := newAttack(l, rapid.Uint64().Draw(t, "attack"))
		for range 3 {
			a.run(rapid.SampledFrom([]int{1, 10, 300}).Draw(t, "packets"))
		}
		in := l.routers[0].m.in
		longest := time.Duration(in.adoptFactor()) * in.AdvertiseInterval
		if in.Version == 2 {
			longest = in.AdvertiseInterval
		}
		l.run(MasterDownInterval(in.Version, 1, longest) + settleMost + l.adding + l.delay)
		l.neverUnowned(t)
		if l.owners() == 0 {
			t.Fatalf("nobody owns the addresses:\n%s", l)
		}
		l.settle()
		l.oneMaster(t)
	})
}

// TestForgedAdvertUnserved is the worst that two packets do to a pair, and what they do when any interval is adopted. One packet is
// mended by the master, whose last advert, as it yields, is the latest that the backup hears.
func TestForgedAdvertUnserved(t *testing.T) {
	for _, c := range []struct {
		factor   int
		unserved time.Duration
	}{
		{0, 11 * time.Second},
		{1, 4 * time.Second},
		{AdoptFactorMax, 141 * time.Second},
	} {
		best, second := v3(), v3()
		best.Priority, best.AdvertiseInterval, best.AdoptFactor = 150, time.Second, c.factor
		second.AdvertiseInterval, second.AdoptFactor = time.Second, c.factor
		l := newLAN(1, best, second)
		for _, r := range l.routers {
			l.start(r)
		}
		l.settle()
		for range 2 {
			for _, r := range l.routers {
				l.tell(r, Received{netip.MustParseAddr("10.0.0.66"), PriorityOwner, MaxAdvertiseInterval})
			}
			l.run(5 * time.Millisecond)
		}
		begun := l.now
		for l.owners() == 0 {
			l.run(time.Millisecond)
		}
		if took := l.now - begun; took > c.unserved || took < c.unserved/2 {
			t.Errorf("factor %d: unserved for %s, want at most %s", c.factor, took, c.unserved)
		}
	}
}
