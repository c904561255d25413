package vrrp

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// drawLAN has 2 to 5 routers of different priorities, clocks that disagree by hours, and a master.
func drawLAN(t *rapid.T) *lan {
	base := v3()
	switch rapid.SampledFrom([]string{"v2 1s", "v3 1s", "v3 100ms", "v3 10ms"}).Draw(t, "timing") {
	case "v2 1s":
		base = v2()
	case "v3 1s":
		base.AdvertiseInterval = time.Second
	case "v3 10ms":
		base.AdvertiseInterval = 10 * time.Millisecond
	}
	var routers []Instance
	for _, p := range rapid.SliceOfNDistinct(rapid.Uint8Range(1, 254), 2, 5, rapid.ID).Draw(t, "priorities") {
		in := base
		in.Priority = p
		routers = append(routers, in)
	}
	l := newLAN(rapid.Uint64().Draw(t, "seed"), routers...)
	for _, r := range l.routers {
		r.offset = time.Duration(rapid.IntRange(-10, 10).Draw(t, "clock")) * time.Hour
		l.run(time.Duration(rapid.IntRange(0, 500).Draw(t, "start after")) * time.Millisecond)
		l.start(r)
	}
	l.settle()
	l.oneMaster(t)
	return l
}

// settle waits longer than any election takes.
func (l *lan) settle() { l.run(10 * l.routers[0].m.in.AdvertiseInterval) }

// calm waits for the end of all elections: what a router says within the others' takeover is about the moment before.
func (l *lan) calm() {
	busy := func(r *router) bool { return r.adding || r.m.State() == Leaving }
	for len(l.in(Master)) != 1 || slices.ContainsFunc(l.routers, busy) {
		l.run(time.Millisecond)
	}
	l.run(l.routers[0].m.in.AdvertiseInterval)
}

func (l *lan) oneMaster(t *rapid.T) *router {
	masters := l.in(Master)
	if len(masters) != 1 {
		t.Fatalf("%d masters:\n%s", len(masters), l)
	}
	if best := l.highest(); masters[0].m.Priority() != best {
		t.Fatalf("%s is master, but one of priority %d lives:\n%s", masters[0].name, best, l)
	}
	if n := l.owners(); n != 1 {
		t.Fatalf("%d own the addresses:\n%s", n, l)
	}
	return masters[0]
}

// neverUnowned fails at the first instant at which nobody owns the addresses.
func (l *lan) neverUnowned(t *rapid.T) {
	l.watch = func(l *lan) {
		if l.owners() == 0 {
			t.Fatalf("nobody owns the addresses at %s:\n%s", l.now, l)
		}
	}
}

func TestPowerFailure(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := drawLAN(t)
		master := l.oneMaster(t)
		l.run(time.Duration(rapid.IntRange(0, 1_000_000).Draw(t, "µs")) * time.Microsecond)
		last := master.m.sent.Sub(epoch) - master.offset
		if l.now-last < l.delay {
			l.run(l.delay) // the last advert arrives
		}
		if latest := master.m.sent.Sub(epoch) - master.offset; latest != last {
			t.Skip("another advert has left meanwhile")
		}
		l.kill(master)
		l.settle()
		next := l.oneMaster(t)
		in := next.m.in
		want := last + l.delay + MasterDownInterval(in.Version, in.Priority, in.AdvertiseInterval)
		if next.becameMaster != want {
			t.Fatalf("took over at %s, want %s:\n%s", next.becameMaster, want, l)
		}
	})
}

func TestGracefulStopHasNoGap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := drawLAN(t)
		l.neverUnowned(t)
		for len(l.routers) > 1 {
			master := l.oneMaster(t)
			l.run(time.Duration(rapid.IntRange(0, 1_000_000).Draw(t, "µs")) * time.Microsecond)
			begun := l.now
			l.tell(master, Resign{ReasonResignStop})
			for master.m.State() != Initialize {
				l.run(time.Millisecond)
			}
			if took := l.now - begun; took > MaxFinalLeave {
				t.Fatalf("stopping took %s:\n%s", took, l)
			}
			l.settle()
			l.kill(master)
			if len(l.in(Backup)) == 0 {
				break
			}
		}
	})
}

func TestStopTakesTheSkewTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := drawLAN(t)
		master := l.oneMaster(t)
		begun := l.now
		l.tell(master, Resign{ReasonResignStop})
		l.settle()
		next := l.oneMaster(t)
		in := next.m.in
		if want := begun + l.delay + SkewTime(in.Version, in.Priority, in.AdvertiseInterval); next.becameMaster != want {
			t.Fatalf("took over at %s, want %s:\n%s", next.becameMaster, want, l)
		}
	})
}

func TestPreemptionHasNoGap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := drawLAN(t)
		master := l.oneMaster(t)
		l.kill(master)
		l.settle()
		l.oneMaster(t)
		l.neverUnowned(t)
		master.dead = false
		master.m = NewMachine(master.m.in)
		l.start(master)
		l.settle()
		if l.oneMaster(t) != master {
			t.Fatalf("the best has not come back:\n%s", l)
		}
	})
}

func TestFaultHasNoGap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := drawLAN(t)
		l.neverUnowned(t)
		master := l.oneMaster(t)
		l.track(master, faulted)
		l.settle()
		l.oneMaster(t)
		l.track(master, without(faulted))
		l.settle()
		l.oneMaster(t)
		l.tell(master, offset(-250))
		l.settle()
		l.oneMaster(t)
	})
}

// TestLostDirectorsHaveNoGap: nor have addresses that are refused in part.
func TestLostDirectorsHaveNoGap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := drawLAN(t)
		l.neverUnowned(t)
		for range rapid.IntRange(1, 10).Draw(t, "changes") {
			r := rapid.SampledFrom(l.routers).Draw(t, "router")
			l.calm()
			switch rapid.IntRange(0, 3).Draw(t, "change") {
			case 0:
				l.track(r, lost)
			case 1:
				l.track(r, without(lost))
			case 2:
				l.track(r, degraded)
			case 3:
				l.track(r, without(degraded))
			}
			l.run(time.Duration(rapid.IntRange(0, 3_000).Draw(t, "ms")) * time.Millisecond)
		}
		l.settle()
		if n := len(l.in(Master)); n != 1 {
			t.Fatalf("%d masters:\n%s", n, l)
		}
	})
}

// TestReloadDoesNotMove: a reload that changes nothing about who is best changes nothing about who is master. The
// routers are reloaded in any order where a backup may adopt any interval, else the one with the longer interval waits.
func TestReloadDoesNotMove(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := drawLAN(t)
		master := l.oneMaster(t)
		l.neverUnowned(t)
		interval := rapid.SampledFrom([]time.Duration{10, 100, 1000, 5000}).Draw(t, "interval") * time.Millisecond
		order := slices.Clone(l.routers)
		slower := interval > master.m.in.AdvertiseInterval
		if rapid.Bool().Draw(t, "any interval is adopted") {
			for _, r := range order {
				r.m.in.AdoptFactor = AdoptFactorMax
			}
		} else {
			slices.SortStableFunc(order, func(a, b *router) int {
				switch {
				case a == b || a != master && b != master:
					return 0
				case (a == master) == slower:
					return 1
				}
				return -1
			})
		}
		for _, r := range order {
			in := r.m.in
			in.Addresses = prefixes("10.0.0.100/24", "10.0.0.101/24")
			if in.Version == 3 {
				in.AdvertiseInterval = interval
			}
			l.tell(r, Configure{in})
			l.run(rapid.SampledFrom([]time.Duration{0, 50, 2_000, 70_000, 500_000, 3_000_000}).Draw(t, "µs") * time.Microsecond)
		}
		l.settle()
		if l.oneMaster(t) != master || master.masterships != 1 {
			t.Fatalf("mastership moved:\n%s", l)
		}
	})
}

func TestAfterLossAndPartitionsOneMasterIsLeft(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := drawLAN(t)
		for range rapid.IntRange(1, 8).Draw(t, "disturbances") {
			r := rapid.SampledFrom(l.routers).Draw(t, "router")
			switch rapid.IntRange(0, 8).Draw(t, "disturbance") {
			case 0:
				l.loss = rapid.Float64Range(0, 1).Draw(t, "loss")
			case 1:
				r.side = rapid.IntRange(0, 2).Draw(t, "side")
			case 2:
				l.tell(r, Down{Reason: ReasonInterfaceDown})
			case 3:
				l.start(r)
			case 4:
				l.track(r, offset(rapid.IntRange(-50, 50).Draw(t, "offset")).Tracks[0])
			case 5:
				l.track(r, failover)
			case 6:
				l.track(r, lost)
			case 7:
				l.track(r, without(lost))
			case 8:
				l.track(r, rapid.SampledFrom([]Track{degraded, without(degraded), without(failover)}).Draw(t, "track"))
			}
			l.run(time.Duration(rapid.IntRange(0, 5_000).Draw(t, "ms")) * time.Millisecond)
		}
		l.loss = 0
		for _, r := range l.routers {
			r.side = 0
			l.start(r)
		}
		l.settle()
		l.settle()
		l.oneMaster(t)
	})
}

// TestTheMasterAnnouncesLast parts two routers: each announces, and hosts on other interfaces may hear both. When they hear each other
// again, whoever yields must leave the last announcement to the other.
func TestTheMasterAnnouncesLast(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		best, second := v3(), v3()
		best.Priority = 150
		l := newLAN(rapid.Uint64().Draw(t, "seed"), best, second)
		for _, r := range l.routers {
			l.start(r)
		}
		l.settle()
		l.routers[1].side = 1
		l.run(time.Duration(rapid.IntRange(500_000, 2_000_000).Draw(t, "µs parted")) * time.Microsecond)
		l.routers[1].side = 0
		l.settle()
		if l.oneMaster(t) != l.routers[0] || l.announced != l.routers[0] {
			t.Fatalf("%s announced last:\n%s", l.announced.name, l)
		}
	})
}
