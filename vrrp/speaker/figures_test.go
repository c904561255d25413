package speaker

import (
	"fmt"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/histogram"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// total returns the number of durations, and those over a limit.
func total(h *histogram.Histogram, limit time.Duration) (all, over uint64) {
	for i, n := range h.Counts {
		all += n
		if i > 0 && histogram.Bounds[i-1] >= limit {
			over += n
		}
	}
	return all, over
}

// TestLatenessOfAdverts has a backup hear adverts, of which one is late, and a master send some, of which one is late.
func TestLatenessOfAdverts(t *testing.T) {
	g := newRig(t)
	g.up("eth0", 1, "10.9.0.1/24")
	in := v3(100)
	g.want(in)
	for _, gap := range []time.Duration{0, in.AdvertiseInterval, in.AdvertiseInterval, in.AdvertiseInterval + 150*time.Millisecond} {
		g.now = g.now.Add(gap)
		d := g.datagram(in, 200, "10.9.0.2")
		d.At = g.now
		g.engine.receive(g.engine.wires[wireOf(&in)], d, g.now)
	}
	if all, late := total(&g.engine.figures().Received, 100*time.Millisecond); all != 3 || late != 1 {
		t.Errorf("received: %d, %d late", all, late)
	}
	g.advance(time.Minute)
	g.expect("v", vrrp.Master, vrrp.ReasonMasterDownTimer)
	before, _ := total(&g.engine.figures().Sent, 0)
	g.now = g.engine.timers.next().Add(40 * time.Millisecond)
	g.engine.timers.send(g.now)
	all, late := total(&g.engine.figures().Sent, 20*time.Millisecond)
	if all != before+1 || late != 1 {
		t.Errorf("sent: %d after %d, %d late", all, before, late)
	}
	if all, _ := total(&g.engine.figures().Received, 0); all != 3 {
		t.Errorf("a master has no master, but heard %d adverts", all)
	}
}

// TestTransitionsAreCounted by state and reason.
func TestTransitionsAreCounted(t *testing.T) {
	g := newRig(t)
	g.up("eth0", 1, "10.9.0.1/24")
	in := v3(100)
	g.want(in)
	for range 2 {
		g.advance(time.Minute)
		g.hear(in, 200, "10.9.0.2")
		g.advance(10 * time.Millisecond)
	}
	want := "[{BACKUP startup 1} {MASTER master-down-timer 2} {BACKUP higher-priority-advert 2}]"
	if got := fmt.Sprint(g.status("v").TransitionCounts); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
