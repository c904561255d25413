package healthcheck_test

import (
	"context"
	"log/slog"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	. "github.com/lvs-ha/lvs-ha/healthcheck"
)

// sleepyLog is a log that blocks on every line, and so stalls the scheduler's goroutine.
type sleepyLog struct {
	slog.Handler
	sleep time.Duration
	lines *strings.Builder
}

func (l sleepyLog) Enabled(context.Context, slog.Level) bool { return true }

func (l sleepyLog) Handle(_ context.Context, r slog.Record) error {
	l.lines.WriteString(r.Message + "\n")
	if r.Message == "health check does not end" {
		time.Sleep(l.sleep)
	}
	return nil
}

// TestStall checks that after a stall, a check that timed out during it is ignored, but a second one in a row is not, and
// that a refused connection is never ignored.
func TestStall(t *testing.T) {
	for _, c := range []struct {
		name   string
		sick   func(context.Context, netip.AddrPort) Result
		after  State // one check
		second State
	}{
		{"timeout", never, Up, Down},
		{"refused", func(context.Context, netip.AddrPort) Result { return Result{Detail: "connection refused"} }, Down, Down},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const stall = 5 * time.Second
				var sick atomic.Bool
				release := make(chan struct{})
				f := newFarm(t, func(ctx context.Context, server netip.AddrPort) Result {
					switch {
					case server.Addr() == someAddress: // makes the scheduler log, and stall
						<-release
						return Result{}
					case sick.Load():
						return c.sick(ctx, server)
					}
					return Result{OK: true}
				})
				o := f.options()
				var lines strings.Builder
				o.Logger = slog.New(sleepyLog{sleep: stall, lines: &lines})
				s := NewScheduler(o)
				spec := every(500 * time.Millisecond)
				spec.Timeout, spec.Fall = 2*time.Second, 1
				slow := every(11 * time.Second)
				slow.Timeout = 10 * time.Second // considered stuck after 11 s
				list := append(targets(1, spec), NewTarget(someAddress, 80, slow))
				update(t, s, list)
				stop := start(t, s)
				time.Sleep(10300 * time.Millisecond)
				sick.Store(true)
				time.Sleep(4700 * time.Millisecond) // near the end of the stall
				wantState(t, s, list[0], c.after)
				if st := s.Stats(); c.after == Up && st.Stalls != 1 {
					t.Errorf("%+v", st)
				}
				time.Sleep(4 * time.Second)
				wantState(t, s, list[0], c.second)
				close(release)
				stop()
				if n := strings.Count(lines.String(), "scheduler stalled"); n != 1 {
					t.Errorf("%d warnings:\n%s", n, lines.String())
				}
			})
		})
	}
}

// TestAfterStall checks that checks that became due during a stall do not all start at the same time.
func TestAfterStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		f := newFarm(t, func(ctx context.Context, server netip.AddrPort) Result {
			if server.Addr() == someAddress {
				<-release
				return Result{}
			}
			return lasting(10*time.Millisecond)(ctx, server)
		})
		o := f.options()
		var lines strings.Builder
		o.Logger = slog.New(sleepyLog{sleep: 5 * time.Second, lines: &lines})
		s := NewScheduler(o)
		slow := every(11 * time.Second)
		slow.Timeout = 10 * time.Second
		list := append(targets(2000, every(2*time.Second)), NewTarget(someAddress, 80, slow))
		update(t, s, list)
		stop := start(t, s)
		time.Sleep(time.Minute)
		close(release)
		stop()
		if most, _ := f.flown(); most > 200 || s.Stats().Stalls == 0 {
			t.Errorf("%d of 2,000 checks at a time, %+v", most, s.Stats())
		}
	})
}
