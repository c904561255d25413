package healthcheck_test

import (
	"context"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	. "github.com/lvs-ha/lvs-ha/healthcheck"
)

// BenchmarkIdleTarget reports the memory of a target between its checks, one of 10,000 with the same spec.
func BenchmarkIdleTarget(b *testing.B) {
	const n = 10_000
	spec := httpSpec(nil)
	spec.Interval = time.Hour
	for b.Loop() {
		before := heapInUse()
		s := NewScheduler(Options{})
		if err := s.Update(targets(n, spec)); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(heapInUse()-before)/n, "B/target")
		runtime.KeepAlive(s)
	}
}

func heapInUse() uint64 {
	runtime.GC()
	runtime.GC() // the first call does not free what finalizers and pools refer to
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkUpdate replaces a set of 10,000 targets with an equal one.
func BenchmarkUpdate(b *testing.B) {
	spec := httpSpec(nil)
	spec.Interval = time.Hour
	list := targets(10_000, spec)
	s := NewScheduler(Options{})
	for b.Loop() {
		if err := s.Update(list); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSchedule reports the scheduler's own CPU time per check, with 10,000 targets and a probe that does nothing.
func BenchmarkSchedule(b *testing.B) {
	results := make(chan struct{}, 1<<16)
	s := NewScheduler(Options{
		NewProbe: func(Spec) (Probe, error) {
			return func(context.Context, netip.AddrPort) Result { return Result{OK: true, Detail: "good"} }, nil
		},
		Report: func(Event) { results <- struct{}{} },
	})
	if err := s.Update(targets(10_000, every(100*time.Millisecond))); err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error)
	go func() { ended <- s.Run(ctx) }()
	before, n := cpuTime(), 0
	for b.Loop() {
		<-results
		n++
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64((cpuTime()-before).Nanoseconds())/float64(n), "cpu-ns/check")
	cancel()
	for range results {
		if len(results) == 0 {
			break
		}
	}
	<-ended
}

// cpuTime returns the user and system time of this process so far.
func cpuTime() time.Duration {
	var r unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
