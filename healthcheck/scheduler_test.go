package healthcheck_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	. "github.com/lvs-ha/lvs-ha/healthcheck"
)

func TestFirstCheckAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, good)
		s := NewScheduler(f.options())
		list := targets(1, every(2*time.Second))
		update(t, s, list)
		wantState(t, s, list[0], Unknown)
		defer start(t, s)()
		synctest.Wait()
		wantState(t, s, list[0], Up)
		if got := f.startsOf(list[0]); len(got) != 1 || got[0] != 0 {
			t.Errorf("first check after %v", got)
		}
		events := f.reported()
		if len(events) != 1 || !events[0].Changed || events[0].Key != list[0].Key() || events[0].Detail != "good" || events[0].State != Up {
			t.Errorf("events %+v", events)
		}
	})
}

// TestFirstChecksAreSpread checks that a few start within milliseconds, and many within a second or their interval.
func TestFirstChecksAreSpread(t *testing.T) {
	for _, c := range []struct {
		n        int
		interval time.Duration
		window   time.Duration
	}{
		{3, 2 * time.Second, 3 * time.Millisecond},
		{5000, 2 * time.Second, 750 * time.Millisecond},
		{5000, 500 * time.Millisecond, 500 * time.Millisecond},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newFarm(t, good)
			s := NewScheduler(f.options())
			defer start(t, s)()
			synctest.Wait()
			list := targets(c.n, every(c.interval))
			update(t, s, list)
			time.Sleep(c.window + 20*time.Millisecond)
			synctest.Wait()
			perTenth := make([]int, 12)
			for _, target := range list {
				starts := f.startsOf(target)
				if len(starts) == 0 {
					t.Fatalf("%d targets: %v was not checked in %v", c.n, target, c.window)
				}
				perTenth[min(int(starts[0]*10/c.window), 11)]++
			}
			if c.n > 1000 && slices.Max(perTenth) > c.n/10*3/2 {
				t.Errorf("%d targets are not spread evenly over %v: %v", c.n, c.window, perTenth)
			}
		})
	}
}

// TestInterval checks that starts are at most the interval apart, and not much less, regardless of a check's duration.
func TestInterval(t *testing.T) {
	const interval = 2 * time.Second
	for _, probe := range []func(context.Context, netip.AddrPort) Result{good, lasting(interval / 3), never} {
		synctest.Test(t, func(t *testing.T) {
			f := newFarm(t, probe)
			s := NewScheduler(f.options())
			list := targets(1, every(interval))
			update(t, s, list)
			defer start(t, s)()
			time.Sleep(100 * interval)
			starts := f.startsOf(list[0])
			if len(starts) < 100 || len(starts) > 108 {
				t.Errorf("%d checks in 100 intervals", len(starts))
			}
			distinct := map[time.Duration]bool{}
			for i := 2; i < len(starts); i++ {
				gap := starts[i] - starts[i-1]
				distinct[gap] = true
				if gap > interval || gap < interval*95/100 {
					t.Errorf("check %d started %v after the one before", i, gap)
				}
			}
			if len(distinct) < 50 {
				t.Errorf("hardly any jitter: %d different gaps", len(distinct))
			}
		})
	}
}

// TestLoadIsEven checks that checks that started within a second do not stay bunched.
func TestLoadIsEven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n, interval = 10_000, 10 * time.Second
		f := newFarm(t, good)
		s := NewScheduler(f.options())
		list := targets(n, every(interval))
		update(t, s, list)
		defer start(t, s)()
		const from = 2 * interval
		time.Sleep(from + interval)
		synctest.Wait()
		perTenth := make([]int, 10)
		for _, target := range list {
			for _, at := range f.startsOf(target) {
				if at >= from && at < from+interval {
					perTenth[(at-from)*10/interval]++
				}
			}
		}
		if slices.Max(perTenth) > n/10*5/4 || slices.Min(perTenth) < n/10*4/5 {
			t.Errorf("checks per second: %v", perTenth)
		}
	})
}

// TestTimeLimit checks that a probe's context ends at its timeout.
func TestTimeLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, never)
		s := NewScheduler(f.options())
		spec := every(2 * time.Second)
		spec.Timeout = 700 * time.Millisecond
		list := targets(1, spec)
		update(t, s, list)
		defer start(t, s)()
		time.Sleep(time.Second)
		events := f.reported()
		if len(events) == 0 || events[0].Took != spec.Timeout || events[0].State != Down {
			t.Errorf("%+v", events)
		}
	})
}

func TestUpdateIsASet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, good)
		s := NewScheduler(f.options())
		defer start(t, s)()
		list := targets(3, every(2*time.Second))
		update(t, s, append(slices.Clone(list), list[0], list[1]))
		time.Sleep(time.Minute)
		if st := s.Stats(); st.Targets != 3 || f.builds != 1 {
			t.Errorf("%d targets and %d probes made for 3 targets with one spec", st.Targets, f.builds)
		}
		before := s.Snapshot()

		// The first stays, the second is removed, the third changes, and one is new.
		other := every(4 * time.Second)
		next := []Target{list[0], NewTarget(list[2].Endpoint.Addr(), 80, other), NewTarget(someAddress, 80, other)}
		update(t, s, next)
		after := s.Snapshot()
		if len(after) != 3 || !slices.ContainsFunc(after, func(st Status) bool { return st == findStatus(before, list[0]) }) {
			t.Errorf("the one that stays has changed:\n%+v\n%+v", before, after)
		}
		for _, target := range next[1:] {
			if h := findStatus(after, target).Health; h.State != Unknown && !h.Since.Equal(time.Now()) {
				t.Errorf("%v did not start over: %+v", target, h)
			}
		}
		gone := len(f.startsOf(list[1]))
		time.Sleep(time.Minute)
		if len(f.startsOf(list[1])) != gone {
			t.Error("a removed target is checked")
		}
		starts := f.startsOf(list[0])
		for i := 2; i < len(starts); i++ {
			if gap := starts[i] - starts[i-1]; gap > 2020*time.Millisecond || gap < 1900*time.Millisecond {
				t.Errorf("the one that stays was checked %v after its last check", gap)
			}
		}
		update(t, s, nil)
		if len(s.Snapshot()) != 0 || s.Stats().Targets != 0 {
			t.Errorf("left over: %+v", s.Snapshot())
		}
	})
}

func findStatus(list []Status, target Target) Status {
	for _, st := range list {
		if st.Key == target.Key() {
			return st
		}
	}
	return Status{}
}

// TestRemovedInFlight checks that the check is cancelled and its result not reported.
func TestRemovedInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, never)
		s := NewScheduler(f.options())
		defer start(t, s)()
		update(t, s, targets(10, every(time.Minute)))
		time.Sleep(time.Second)
		if st := s.Stats(); st.Running != 10 {
			t.Fatalf("%+v", st)
		}
		update(t, s, nil)
		synctest.Wait()
		if st := s.Stats(); st.Targets+st.Running+st.Waiting+st.Stuck > 0 || len(f.reported()) > 0 {
			t.Errorf("%+v, events %+v", st, f.reported())
		}
	})
}

// TestReaddedInFlight checks that a target removed and added again during its check starts over, without overlapping checks.
func TestReaddedInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const stubborn = 300 * time.Millisecond // ignores its context
		f := newFarm(t, func(context.Context, netip.AddrPort) Result {
			time.Sleep(stubborn)
			return Result{OK: true}
		})
		s := NewScheduler(f.options())
		defer start(t, s)()
		list := targets(1, every(time.Second))
		update(t, s, list)
		time.Sleep(stubborn / 3)
		update(t, s, nil)
		update(t, s, list)
		time.Sleep(stubborn / 3)
		wantState(t, s, list[0], Unknown)
		time.Sleep(stubborn/3 + time.Millisecond)
		if _, overlap := f.flown(); overlap || len(f.reported()) > 0 {
			t.Errorf("overlap %v, events %+v", overlap, f.reported())
		}
		if starts := f.startsOf(list[0]); len(starts) != 2 || starts[1] > stubborn+20*time.Millisecond {
			t.Errorf("starts %v", starts)
		}
		time.Sleep(stubborn + 20*time.Millisecond)
		wantState(t, s, list[0], Up)
	})
}

// TestUpdateBeforeRun checks that targets added before Run are spread from its start.
func TestUpdateBeforeRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, good)
		s := NewScheduler(f.options())
		list := targets(2000, every(time.Hour))
		update(t, s, list[1000:])
		update(t, s, list)
		time.Sleep(time.Hour)
		f.begun = time.Now()
		defer start(t, s)()
		time.Sleep(375 * time.Millisecond)
		if n := len(f.reported()); n < 900 || n > 1100 {
			t.Errorf("%d of 2,000 first checks after half the time", n)
		}
	})
}

func TestRunEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, never)
		s := NewScheduler(f.options())
		update(t, s, targets(10, every(time.Minute)))
		stop := start(t, s)
		time.Sleep(time.Second)
		stop()
		if events := f.reported(); len(events) > 0 || len(f.flying) > 0 {
			t.Errorf("after the end: in flight %v, events %+v", f.flying, events)
		}
		if err := s.Run(t.Context()); err == nil {
			t.Error("Run may be called twice")
		}
	})
}

// TestProbeThatCannotBeCreated checks that its target waits for the cause to be resolved, and that others are not affected.
func TestProbeThatCannotBeCreated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, good)
		s := NewScheduler(f.options())
		defer start(t, s)()
		list := targets(2, every(2*time.Second))
		update(t, s, list[:1])
		synctest.Wait()

		f.mu.Lock()
		f.broken = errors.New("open ca.pem: no such file")
		f.mu.Unlock()
		list[1].Spec.Fall = 9
		err := s.Update(list)
		if err == nil || !strings.Contains(err.Error(), "tcp 10.0.0.1:80: open ca.pem") {
			t.Errorf("Update: %v", err)
		}
		time.Sleep(10 * time.Second)
		wantState(t, s, list[0], Up)
		wantState(t, s, list[1], Unknown)
		if st := findStatus(s.Snapshot(), list[1]); st.Detail != "not checked: open ca.pem: no such file" {
			t.Errorf("detail %q", st.Detail)
		}
		f.mu.Lock()
		f.broken = nil
		f.mu.Unlock()
		time.Sleep(2 * time.Second)
		wantState(t, s, list[1], Up)
	})
}

func TestReportMayCallTheScheduler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, good)
		o := f.options()
		var s *Scheduler
		list := targets(5, every(time.Second))
		o.Report = func(e Event) {
			f.report(e)
			if len(f.reported()) == 5 {
				s.Snapshot()
				s.Stats()
				_ = s.Update(list[:2])
			}
		}
		s = NewScheduler(o)
		update(t, s, list)
		defer start(t, s)()
		time.Sleep(2500 * time.Millisecond)
		if st := s.Stats(); st.Targets != 2 || st.Results < 8 {
			t.Errorf("%+v", st)
		}
	})
}
