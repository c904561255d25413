package healthcheck_test

import (
	"context"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	. "github.com/lvs-ha/lvs-ha/healthcheck"
)

// TestRetryInterval checks that checks are as often as retry_interval says while the results contradict the state, and only
// then.
func TestRetryInterval(t *testing.T) {
	for _, retry := range []time.Duration{100 * time.Millisecond, 30 * time.Second} { // keepalived's delay_before_retry may be the longer one
		synctest.Test(t, func(t *testing.T) {
			var works atomic.Bool
			works.Store(true)
			f := newFarm(t, func(context.Context, netip.AddrPort) Result {
				return Result{OK: works.Load(), Detail: "told"}
			})
			spec := every(10 * time.Second)
			spec.Retry = retry
			s := NewScheduler(f.options())
			list := targets(1, spec)
			update(t, s, list)
			defer start(t, s)()
			// settle returns the gaps between the starts in the time that a change of state takes at most.
			settle := func(want State, results int) (gaps []time.Duration) {
				before := len(f.startsOf(list[0]))
				time.Sleep(11*time.Second + time.Duration(results)*retry)
				synctest.Wait()
				wantState(t, s, list[0], want)
				starts := f.startsOf(list[0])
				for i := before + 1; i < before+results; i++ {
					gaps = append(gaps, starts[i]-starts[i-1])
				}
				return gaps
			}
			settle(Up, 0)
			for _, c := range []struct {
				works   bool
				state   State
				results int
			}{{false, Down, 3}, {true, Up, 2}} {
				works.Store(c.works)
				for _, gap := range settle(c.state, c.results) {
					if gap > retry+50*time.Millisecond || gap < retry*9/10 {
						t.Errorf("on the way to %v, %v between two checks, want %v", c.state, gap, retry)
					}
				}
			}
			before := len(f.startsOf(list[0]))
			time.Sleep(100 * time.Second)
			if n := len(f.startsOf(list[0])) - before; n > 11 {
				t.Errorf("%d checks in 100 s without doubt", n)
			}
		})
	}
}

// TestTimeoutLongerThanInterval checks that the next check starts when the previous one has ended.
func TestTimeoutLongerThanInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, never)
		spec := every(6 * time.Second)
		spec.Timeout = 10 * time.Second
		s := NewScheduler(f.options())
		list := targets(1, spec)
		update(t, s, list)
		defer start(t, s)()
		time.Sleep(100 * time.Second)
		synctest.Wait()
		starts := f.startsOf(list[0])
		for i := 1; i < len(starts); i++ {
			if gap := starts[i] - starts[i-1]; gap < 10*time.Second || gap > 10*time.Second+50*time.Millisecond {
				t.Errorf("check %d started %v after the one before", i, gap)
			}
		}
		if _, overlap := f.flown(); overlap || len(starts) < 10 {
			t.Errorf("%d checks in 100 s, overlap %v", len(starts), overlap)
		}
		for _, e := range f.reported() {
			if e.Late > time.Second || e.State != Down {
				t.Errorf("%+v", e)
			}
		}
	})
}

func TestJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, good)
		spec := every(10 * time.Second)
		spec.Jitter = 5 * time.Second
		s := NewScheduler(f.options())
		list := targets(1, spec)
		update(t, s, list)
		defer start(t, s)()
		time.Sleep(1000 * time.Second)
		synctest.Wait()
		starts := f.startsOf(list[0])
		least := time.Hour
		for i := 2; i < len(starts); i++ {
			least = min(least, starts[i]-starts[i-1])
		}
		if least < 5*time.Second || least > 6*time.Second {
			t.Errorf("at least %v between two checks, want 5 s to 10 s", least)
		}
	})
}
