package onecpu

import (
	"net/netip"
	"testing"
	"time"
)

var (
	testMaster = netip.MustParseAddr("10.77.0.2")
	testBackup = netip.MustParseAddr("10.77.0.1")
	testStart  = time.Unix(1000, 0)
)

func ms(n int) time.Time { return testStart.Add(time.Duration(n) * time.Millisecond) }

// hear feeds p adverts of one virtual router with an interval of 10 ms.
func hear(p *pace, source netip.Addr, milliseconds ...int) {
	for _, n := range milliseconds {
		p.heard(advert{at: ms(n), source: source, vrid: 1, priority: 100})
	}
}

func TestPace(t *testing.T) {
	type outcome struct {
		takeovers, inStalls int
		gap, own            time.Duration
	}
	for name, c := range map[string]struct {
		play func(*pace)
		want outcome
	}{
		"quiet": {
			func(p *pace) { hear(p, testMaster, 0, 10, 20, 31) },
			outcome{0, 0, 11 * time.Millisecond, 11 * time.Millisecond},
		},
		"a gap without a stall": {
			func(p *pace) { hear(p, testMaster, 0, 10, 45, 55) },
			outcome{0, 0, 35 * time.Millisecond, 35 * time.Millisecond},
		},
		"a gap with a stall of the machine": {
			func(p *pace) {
				hear(p, testMaster, 0, 10, 45, 55)
				p.stalled(testMaster, span{ms(12), ms(32)})
			},
			outcome{0, 0, 35 * time.Millisecond, 15 * time.Millisecond},
		},
		"another machine's stall does not count": {
			func(p *pace) {
				hear(p, testMaster, 0, 10, 45, 55)
				p.stalled(testBackup, span{ms(12), ms(32)})
			},
			outcome{0, 0, 35 * time.Millisecond, 35 * time.Millisecond},
		},
		"taken over and back": {
			func(p *pace) {
				hear(p, testMaster, 0, 10)
				hear(p, testBackup, 20)
				hear(p, testMaster, 30)
			},
			outcome{2, 0, 10 * time.Millisecond, 10 * time.Millisecond},
		},
		"taken over while the machine stood still": {
			func(p *pace) {
				hear(p, testMaster, 0, 10)
				p.stalled(testMaster, span{ms(15), ms(40)})
				hear(p, testBackup, 46)
			},
			outcome{0, 1, 36 * time.Millisecond, 11 * time.Millisecond},
		},
		"silent until the end": {
			func(p *pace) { hear(p, testMaster, 0, 10) },
			outcome{0, 0, 90 * time.Millisecond, 90 * time.Millisecond},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPace(10 * time.Millisecond)
			c.play(p)
			if name == "silent until the end" {
				p.end(ms(100))
			}
			f := p.figures()
			if got := (outcome{f.Takeovers, f.TakeoversInStalls, f.Gap, f.OwnGap}); got != c.want {
				t.Errorf("%+v, want %+v", got, c.want)
			}
		})
	}
}

func TestFiguresBreakBudgets(t *testing.T) {
	cell := Cell{Instances: 1, Interval: 10 * time.Millisecond, Load: Garbage}
	good := Figures{Cell: cell, Took: time.Second, Adverts: 100, Garbage: GarbageRate, Gap: time.Second, OwnGap: 12 * time.Millisecond, TakeoversInStalls: 3}
	if broken := good.Broken(); len(broken) != 0 {
		t.Errorf("good figures break %v", broken)
	}
	for name, spoil := range map[string]func(*Figures){
		"killed":     func(f *Figures) { f.Killed = 1 },
		"takeovers":  func(f *Figures) { f.Takeovers = 1 },
		"gap":        func(f *Figures) { f.OwnGap = 31 * time.Millisecond },
		"silence":    func(f *Figures) { f.Adverts = 40 },
		"blind":      func(f *Figures) { f.Missed = 1 },
		"no garbage": func(f *Figures) { f.Garbage = 10 },
	} {
		bad := good
		spoil(&bad)
		if broken := bad.Broken(); len(broken) != 1 {
			t.Errorf("%s: breaks %v, want one budget", name, broken)
		}
	}
}

func TestSelect(t *testing.T) {
	all := Matrix()
	if len(all) != 30 {
		t.Errorf("%d cells, want 30", len(all))
	}
	for patterns, want := range map[string]int{
		"all": 30, "50x10ms/hog": 2, "50x10ms/hog/machines": 1, "*/garbage": 10, "*/*/namespaces": 15, "1x10ms 255x1s,5x100ms/quiet": 14,
	} {
		got, err := Select(all, patterns)
		if err != nil || len(got) != want {
			t.Errorf("%q chooses %d cells (%v), want %d", patterns, len(got), err, want)
		}
	}
	for _, patterns := range []string{"7x10ms", "50x10ms/pig", "[", "50x10ms/hog,nothing"} {
		if _, err := Select(all, patterns); err == nil {
			t.Errorf("%q is accepted", patterns)
		}
	}
}
