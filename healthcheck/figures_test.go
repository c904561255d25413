package healthcheck_test

import (
	"context"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	. "github.com/lvs-ha/lvs-ha/healthcheck"
)

// TestFigures runs two checks with one slot: the second one starts late.
func TestFigures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list := targets(2, every(time.Minute))
		f := newFarm(t, func(_ context.Context, server netip.AddrPort) Result {
			time.Sleep(30 * time.Millisecond)
			if server == list[1].Endpoint {
				return Result{Reason: Refused}
			}
			return Result{OK: true}
		})
		o := f.options()
		o.Concurrency = 1
		s := NewScheduler(o)
		update(t, s, list)
		defer start(t, s)()
		time.Sleep(time.Second)
		synctest.Wait()
		all := s.Figures()
		got := all[list[0].Spec.Kind()]
		if len(all) != 1 || len(got.Results) != 2 || got.Results[""] != 1 || got.Results[Refused] != 1 {
			t.Errorf("%+v", all)
		}
		if got.Took.Sum != 60*time.Millisecond || got.Late.Sum < 20*time.Millisecond || got.Late.Sum > 30*time.Millisecond {
			t.Errorf("took %v, late %v", got.Took.Sum, got.Late.Sum)
		}
		got.Results[""] = 9
		if again := s.Figures()[list[0].Spec.Kind()]; again.Results[""] != 1 {
			t.Error("the figures share memory with the scheduler")
		}
	})
}
