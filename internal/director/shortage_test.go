package director

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-ha/lvs-ha/healthcheck"
)

// TestResourceShortageIsAProblem checks that servers whose checks cannot run keep their state, and that this is a problem until
// all checks can run or are removed.
func TestResourceShortageIsAProblem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.start(false)
		defer b.stop()
		result := func(i int, r healthcheck.Result, stalled bool) {
			target := b.checker.targets[i]
			b.checker.report(healthcheck.Event{
				Status: healthcheck.Status{Key: target.Key(), Target: target, Health: healthcheck.Health{State: healthcheck.Up}}, Result: r, Stalled: stalled,
			})
			synctest.Wait()
		}
		wantProblems := func(when string, want int) {
			t.Helper()
			n := 0
			for _, p := range b.status().Problems {
				if p.What == "health checks" {
					n++
				}
			}
			if n != want {
				t.Errorf("%s: %+v", when, b.status().Problems)
			}
		}
		good, lack := healthcheck.Result{OK: true}, healthcheck.Result{Local: true, Detail: "not checked: too many open files"}
		result(0, good, false)
		result(1, good, false)
		wantProblems("all well", 0)
		result(0, lack, false)
		result(1, healthcheck.Result{Local: true, Detail: "not checked: out of memory"}, false)
		result(1, lack, false)
		wantProblems("without descriptors", 1)
		b.wantPool(first + "=1 " + second + "=1")
		result(0, good, false)
		wantProblems("one is left", 1)
		result(1, healthcheck.Result{Detail: "connection refused"}, false)
		wantProblems("over", 0)
		result(1, healthcheck.Result{Local: true, Detail: "not checked: this machine stood still"}, true)
		wantProblems("after a stall", 0)
		result(1, lack, false)
		b.cfg = onlyVRRP()
		b.reload()
		wantProblems("without checks", 0)
	})
}

func TestShortagesAreReportedOnce(t *testing.T) {
	s := newShortages()
	for _, key := range []string{"a", "b", "c"} {
		s.note(key, healthcheck.Event{Result: healthcheck.Result{Local: true, Detail: "not checked: out of memory"}})
	}
	before := s.problem(3)
	s.drop("a")
	if after := s.problem(3); before == nil || after == nil || before.Error() != after.Error() {
		t.Errorf("the problem changes with the number of checks: %v, %v", before, after)
	}
	s.drop("b")
	s.drop("c")
	s.drop("c")
	if err := errors.Join(s.problem(3)); err != nil {
		t.Errorf("over, but: %v", err)
	}
}

// TestLateChecksAreAProblem checks that lateness is a problem when many checks are late, and until none is.
func TestLateChecksAreAProblem(t *testing.T) {
	s := newShortages()
	spec := healthcheck.Spec{Interval: time.Second}
	check := func(key string, late time.Duration) {
		s.note(key, healthcheck.Event{Status: healthcheck.Status{Target: healthcheck.Target{Spec: spec}}, Late: late})
	}
	for i, c := range []struct {
		key     string
		late    time.Duration
		problem bool
	}{
		{"a", 0, false},
		{"a", 400 * time.Millisecond, false},
		{"a", 600 * time.Millisecond, false}, // one of eight
		{"b", time.Hour, true},
		{"a", 0, true},
		{"b", 50 * time.Millisecond, false},
		{"b", time.Second, false},
	} {
		check(c.key, c.late)
		if err := s.problem(8); (err != nil) != c.problem {
			t.Errorf("step %d: %v", i, err)
		}
	}
	s.drop("b")
	if s.problem(8) != nil {
		t.Error("a check that was removed is late")
	}
}
