package healthcheck_test

import (
	"context"
	"net/netip"
	"sync"
	"testing"
	"time"

	. "github.com/lvs-ha/lvs-ha/healthcheck"
)

var someAddress = netip.MustParseAddr("192.0.2.1")

// start runs a scheduler; stop ends it and waits.
func start(t *testing.T, s *Scheduler) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	return sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

// farm is a set of servers with a function as probe. It records starts and events.
type farm struct {
	t     *testing.T
	probe func(ctx context.Context, server netip.AddrPort) Result

	mu      sync.Mutex
	begun   time.Time
	starts  map[netip.AddrPort][]time.Duration // since begun
	flying  map[netip.AddrPort]int
	most    int // largest number in progress at a time
	events  []Event
	builds  int
	broken  error // returned by NewProbe
	overlap bool
}

func newFarm(t *testing.T, probe func(ctx context.Context, server netip.AddrPort) Result) *farm {
	return &farm{t: t, probe: probe, begun: time.Now(), starts: map[netip.AddrPort][]time.Duration{}, flying: map[netip.AddrPort]int{}}
}

func good(context.Context, netip.AddrPort) Result { return Result{OK: true, Detail: "good"} }

// never is a server that does not respond.
func never(ctx context.Context, _ netip.AddrPort) Result {
	<-ctx.Done()
	return Result{Detail: "timeout"}
}

// lasting returns a good server that responds after d.
func lasting(d time.Duration) func(context.Context, netip.AddrPort) Result {
	return func(ctx context.Context, _ netip.AddrPort) Result {
		select {
		case <-time.After(d):
			return Result{OK: true, Detail: "good"}
		case <-ctx.Done():
			return Result{Detail: "timeout"}
		}
	}
}

func (f *farm) options() Options {
	return Options{NewProbe: f.build, Report: f.report}
}

func (f *farm) build(Spec) (Probe, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.builds++
	return f.watched, f.broken
}

func (f *farm) watched(ctx context.Context, server netip.AddrPort) Result {
	f.mu.Lock()
	f.starts[server] = append(f.starts[server], time.Since(f.begun))
	f.flying[server]++
	f.overlap = f.overlap || f.flying[server] > 1
	total := 0
	for _, n := range f.flying {
		total += n
	}
	f.most = max(f.most, total)
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.flying[server]--; f.flying[server] == 0 {
			delete(f.flying, server)
		}
	}()
	return f.probe(ctx, server)
}

func (f *farm) report(e Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.events = append(f.events, e)
}

// reported returns the events so far.
func (f *farm) reported() []Event {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Event(nil), f.events...)
}

// startsOf returns the start times of the checks of a target's server so far.
func (f *farm) startsOf(target Target) []time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]time.Duration(nil), f.starts[target.Endpoint]...)
}

// flown returns the largest number of concurrent checks, and whether two checks of one server ever overlapped.
func (f *farm) flown() (most int, overlap bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.most, f.overlap
}

// targets returns n targets with a spec.
func targets(n int, spec Spec) []Target {
	list := make([]Target, n)
	for i := range list {
		list[i] = NewTarget(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 80, spec)
	}
	return list
}

func update(t *testing.T, s *Scheduler, list []Target) {
	t.Helper()
	if err := s.Update(list); err != nil {
		t.Fatal(err)
	}
}

// every returns a spec for fakes.
func every(interval time.Duration) Spec {
	return Spec{Check: &TCP{}, Interval: interval, Timeout: interval / 2, Rise: 2, Fall: 3}
}

func wantState(t *testing.T, s *Scheduler, target Target, want State) {
	t.Helper()
	for _, status := range s.Snapshot() {
		if status.Key == target.Key() {
			if status.State != want {
				t.Errorf("%v is %v, want %v: %+v", target, status.State, want, status.Health)
			}
			return
		}
	}
	t.Errorf("%v is not in the snapshot", target)
}
