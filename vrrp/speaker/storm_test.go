package speaker

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// TestLateTakeoverListens checks that timers that wait for a packet are postponed once if the first is late, and only those.
func TestLateTakeoverListens(t *testing.T) {
	start := time.Now()
	at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	for name, c := range map[string]struct {
		due, now int // in ms
		until    int // 0: it fires at once
	}{
		"in time":         {10, 10, 0},
		"a little late":   {10, 11, 0},
		"late":            {10, 13, 19},
		"after a stall":   {10, 90, 100},
		"not due":         {10, 9, 0},
		"long after boot": {10, 90_000, 90_010},
	} {
		t.Run(name, func(t *testing.T) {
			var l loop
			fired, sent := 0, 0
			l.engine = &engine{}
			ts := &l.engine.timers
			ts.set(&timer{fire: func(time.Time) { fired++ }}, at(c.due))
			ts.setSend(&timer{fire: func(time.Time) { sent++ }}, at(c.due), 0)
			l.fire(at(c.now))
			if want := c.now >= c.due; (sent == 1) != want {
				t.Errorf("%d adverts were sent", sent)
			}
			if c.until == 0 {
				if want := c.now >= c.due; (fired == 1) != want {
					t.Errorf("fired %d times", fired)
				}
				return
			}
			if next := l.listen.next(ts); fired != 0 || !next.Equal(at(c.until)) {
				t.Errorf("fired %d times, next at %v ms, want none and %d", fired, next.Sub(start).Milliseconds(), c.until)
			}
			l.fire(at(c.until - 1))
			if fired != 0 {
				t.Error("fired while listening")
			}
			// Late again: the process must not listen for ever.
			l.fire(at(c.until + 50))
			if fired != 1 || !l.listen.next(ts).IsZero() {
				t.Errorf("fired %d times after listening", fired)
			}
		})
	}
}

// TestTakeoverWithdrawn checks that a takeover that ends before the keeper begins with it does not change any address, and
// that one which ends later removes them.
func TestTakeoverWithdrawn(t *testing.T) {
	down := vrrp.MasterDownInterval(3, 100, v3(100).AdvertiseInterval)
	for name, c := range map[string]struct {
		begun bool
		want  string
	}{
		"before the keeper": {false, "silence, advert 100"},
		"after it":          {true, "advert 100, remove, silence"},
	} {
		t.Run(name, func(t *testing.T) {
			g := newRig(t)
			g.up("eth0", 2, "10.9.0.1/24")
			g.want(v3(100))
			g.holding = !c.begun
			g.advance(down)
			g.did()
			g.hear(v3(200), 200, "10.9.0.2")
			g.expect("v", vrrp.Backup, vrrp.ReasonHigherPriority)
			g.holding = false
			g.finish()
			g.advance(handOverDelay)
			g.expectDid(c.want)
			g.advance(down)
			g.expectDid("advert 100, add, announce")
		})
	}
}

// TestAdvertsDoNotWait checks that a master answers a lesser one while the keeper is busy with its announcement.
func TestAdvertsDoNotWait(t *testing.T) {
	g := newRig(t)
	g.up("eth0", 2, "10.9.0.1/24")
	in := v3(200)
	g.want(in)
	g.advance(2 * time.Second)
	g.did()
	g.holding = true
	for range 3 {
		g.advance(in.AdvertiseInterval / 2)
		g.hear(v3(100), 100, "10.9.0.2")
	}
	if got := len(g.trace); got < 3 {
		t.Errorf("did %q while the keeper was busy", g.did())
	}
	g.did()
	g.holding = false
	g.finish()
	g.expectDid("announce")
}

// TestPacer checks that work is interrupted by pauses if it lasts, and only then.
func TestPacer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		needed := true
		p := pacer{needed: func() bool { return needed }}
		work := func(tasks int, each time.Duration) (paused time.Duration) {
			began := time.Now()
			for range tasks {
				<-time.After(each)
				p.pause()
			}
			return time.Since(began) - time.Duration(tasks)*each
		}
		if got := work(1, 100*time.Microsecond); got != 0 {
			t.Errorf("paused %v after a short task", got)
		}
		if got := work(100, 200*time.Microsecond); got < 15*paceRest || got > 25*paceRest {
			t.Errorf("paused %v in 20 ms of work", got)
		}
		needed = false
		if got := work(100, 200*time.Microsecond); got != 0 {
			t.Errorf("paused %v with real-time priority", got)
		}
	})
}
