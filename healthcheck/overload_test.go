package healthcheck_test

import (
	"bytes"
	"context"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	. "github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/internal/lab"
)

// TestConcurrencyIsBounded checks that with more targets due than slots, each is checked, and lateness is reported.
func TestConcurrencyIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const slots = 10
		f := newFarm(t, never)
		o := f.options()
		o.Concurrency = slots
		var log bytes.Buffer
		o.Logger = slog.New(slog.NewTextHandler(&log, nil))
		s := NewScheduler(o)
		spec := every(2 * time.Second) // a timeout of 1 s: 10 of 100 targets a second
		list := targets(100, spec)
		update(t, s, list)
		stop := start(t, s)
		time.Sleep(100 * time.Second)
		synctest.Wait()
		st := s.Stats()
		most, _ := f.flown()
		if most != slots || st.Running != slots || st.Waiting < 80 || st.Late < 7*time.Second || st.Late > 9*time.Second {
			t.Errorf("at most %d in flight, %+v", most, st)
		}
		for _, target := range list {
			if n := len(f.startsOf(target)); n < 9 || n > 11 {
				t.Errorf("%v was checked %d times, others 10 times", target, n)
			}
		}
		late := 0
		for _, e := range f.reported() {
			if e.Late > 7*time.Second {
				late++
			}
		}
		if late < 700 {
			t.Errorf("%d of 1,000 events report that they are late", late)
		}
		stop()
		if n := strings.Count(log.String(), "health checks run late"); n != 2 || !strings.Contains(log.String(), "limit=10") {
			t.Errorf("%d warnings in 100 s:\n%s", n, log.String())
		}
	})
}

// TestRemovedWhileWaiting checks that a target waiting for a slot can be removed and added again.
func TestRemovedWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, lasting(100*time.Millisecond))
		o := f.options()
		o.Concurrency = 1
		s := NewScheduler(o)
		list := targets(20, every(time.Hour))
		update(t, s, list)
		defer start(t, s)()
		time.Sleep(50 * time.Millisecond)
		update(t, s, list[:2])
		if st := s.Stats(); st.Targets != 2 || st.Running != 1 {
			t.Errorf("%+v", st)
		}
		update(t, s, list)
		time.Sleep(3 * time.Second)
		if most, _ := f.flown(); len(f.reported()) != len(list) || most != 1 {
			t.Errorf("%d results of %d targets, %d at a time", len(f.reported()), len(list), most)
		}
	})
}

// TestStuckProbe checks that a probe that ignores its context takes its target down but does not keep its slot.
func TestStuckProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		stuckAt := netip.AddrPortFrom(someAddress, 80)
		var sick atomic.Bool
		f := newFarm(t, func(_ context.Context, server netip.AddrPort) Result {
			if server == stuckAt && sick.Load() {
				<-release
			}
			return Result{OK: true, Detail: "good"}
		})
		o := f.options()
		o.Concurrency = 1
		var log bytes.Buffer
		o.Logger = slog.New(slog.NewTextHandler(&log, nil))
		s := NewScheduler(o)
		spec := every(2 * time.Second)
		list := append(targets(1, spec), NewTarget(someAddress, 80, spec))
		update(t, s, list)
		stop := start(t, s)
		time.Sleep(100 * time.Millisecond)
		wantState(t, s, list[1], Up)
		sick.Store(true)

		// Fall is 3: the first bad result is a second after the timeout, the others follow at the interval.
		time.Sleep(2*time.Second + 2*time.Second + 2*2*time.Second)
		wantState(t, s, list[1], Down)
		if st := s.Stats(); st.Stuck != 1 || st.Running != 0 {
			t.Errorf("%+v", st)
		}
		if d := findStatus(s.Snapshot(), list[1]).Detail; !strings.HasPrefix(d, "the check has not ended ") {
			t.Errorf("detail %q", d)
		}
		before := len(f.startsOf(list[0]))
		time.Sleep(20 * time.Second)
		if n := len(f.startsOf(list[0])) - before; n < 9 {
			t.Errorf("the other target was checked %d times in 10 intervals", n)
		}
		sick.Store(false)
		close(release)
		time.Sleep(6 * time.Second)
		wantState(t, s, list[1], Up)
		if _, overlap := f.flown(); s.Stats().Stuck != 0 || overlap {
			t.Errorf("%+v, overlap %v", s.Stats(), overlap)
		}
		stop()
		if !strings.Contains(log.String(), "health check does not end") {
			t.Errorf("log: %s", log.String())
		}
	})
}

func TestPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, func(_ context.Context, server netip.AddrPort) Result {
			if server.Addr() == someAddress {
				panic("what a response")
			}
			return Result{OK: true}
		})
		o := f.options()
		var log bytes.Buffer
		o.Logger = slog.New(slog.NewTextHandler(&log, nil))
		s := NewScheduler(o)
		list := append(targets(1, every(time.Second)), NewTarget(someAddress, 80, every(time.Second)))
		update(t, s, list)
		stop := start(t, s)
		time.Sleep(10 * time.Second)
		wantState(t, s, list[0], Up)
		wantState(t, s, list[1], Down)
		if d := findStatus(s.Snapshot(), list[1]).Detail; d != "the check itself crashed; see the log" {
			t.Errorf("detail %q", d)
		}
		stop()
		for _, want := range []string{"health check crashed", "what a response", "endpoint=192.0.2.1:80", "overload_test.go"} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("the log does not have %q:\n%s", want, log.String())
			}
		}
	})
}

// TestChurn updates at random while checks run, and looks for overlaps, unexpected events and leaks.
func TestChurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		random, _ := lab.Generate(t, 1)
		var mu sync.Mutex
		below := func(n int64) int64 {
			mu.Lock()
			defer mu.Unlock()
			return random.Int64N(n)
		}
		f := newFarm(t, func(ctx context.Context, server netip.AddrPort) Result {
			d := time.Duration(below(int64(1200 * time.Millisecond)))
			if below(10) == 0 {
				time.Sleep(d) // ignores its context
				return Result{}
			}
			return lasting(d)(ctx, server)
		})
		o := f.options()
		o.Concurrency = 20
		s := NewScheduler(o)
		all := targets(60, every(time.Second))
		stop := start(t, s)
		for range 500 {
			var some []Target
			for _, target := range all {
				if below(2) == 0 {
					some = append(some, target)
				}
			}
			update(t, s, some)
			if st := s.Stats(); st.Targets != len(some) || st.Running > 20 || len(s.Snapshot()) != len(some) {
				t.Fatalf("%+v with %d targets", st, len(some))
			}
			time.Sleep(time.Duration(below(int64(time.Second))))
		}
		update(t, s, all)
		checkedBefore := len(f.reported())
		time.Sleep(20 * time.Second)
		if n := len(f.reported()) - checkedBefore; n < 10*len(all) {
			t.Errorf("%d results in 20 s after the churn", n)
		}
		for _, target := range all {
			if findStatus(s.Snapshot(), target).State == Unknown {
				t.Errorf("%v is not checked any more", target)
			}
		}
		stop()
		if most, overlap := f.flown(); overlap || most > 20+60 {
			t.Errorf("overlap %v, at most %d in flight", overlap, most)
		}
	})
}

// TestDetectionTime checks that a failed server is down after at most fall intervals and a timeout, and not before fall
// checks, and up again after rise intervals and the time of a response.
func TestDetectionTime(t *testing.T) {
	const interval, timeout, slack = 2 * time.Second, time.Second, 25 * time.Millisecond
	spec := Spec{Check: &TCP{}, Interval: interval, Timeout: timeout, Rise: 2, Fall: 3}
	for range 50 {
		synctest.Test(t, func(t *testing.T) {
			alive := true
			var f *farm
			f = newFarm(t, func(ctx context.Context, server netip.AddrPort) Result {
				f.mu.Lock()
				a := alive
				f.mu.Unlock()
				if !a {
					return never(ctx, server)
				}
				return Result{OK: true}
			})
			set := func(v bool) time.Time {
				f.mu.Lock()
				defer f.mu.Unlock()
				alive = v
				return time.Now()
			}
			s := NewScheduler(f.options())
			list := targets(1, spec)
			update(t, s, list)
			defer start(t, s)()
			phase := rand.N(interval)
			t.Logf("the server fails %v within an interval", phase)
			time.Sleep(10*time.Second + phase)
			failed := set(false)
			time.Sleep(20 * time.Second)
			since := findStatus(s.Snapshot(), list[0]).Since
			if took, most := since.Sub(failed), 3*interval+timeout+slack; took > most || took < 2*interval*95/100+timeout {
				t.Errorf("down after %v, want at most %v", took, most)
			}
			recovered := set(true)
			time.Sleep(20 * time.Second)
			since = findStatus(s.Snapshot(), list[0]).Since
			if took, most := since.Sub(recovered), 2*interval+timeout+slack; took > most {
				t.Errorf("up after %v, want at most %v", took, most)
			}
		})
	}
}
