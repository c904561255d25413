package healthcheck

import (
	"runtime/metrics"
	"slices"
	"time"
)

// Limits of the time that goroutines wait for a CPU.
const (
	lagAtMost  = 25 * time.Millisecond // beyond, fewer checks are started
	lagAtEase  = 5 * time.Millisecond  // below, more are
	lagEvery   = 100 * time.Millisecond
	fewestSlow = 8
	firstSlow  = 64
)

// lag measures how long this process's goroutines wait for a CPU. A check with a goroutine that has to wait may time out
// although its server has answered.
type lag struct {
	sample []metrics.Sample
	before []uint64
	read   time.Duration // time of the last measurement
	seen   bool          // the limit was lowered before
}

// measure returns what nine of ten goroutines waited at most since the last call.
func (l *lag) measure() time.Duration {
	if l.sample == nil {
		l.sample = []metrics.Sample{{Name: "/sched/latencies:seconds"}}
	}
	metrics.Read(l.sample)
	if l.sample[0].Value.Kind() != metrics.KindFloat64Histogram {
		return 0
	}
	h := l.sample[0].Value.Float64Histogram()
	var total uint64
	for i, n := range h.Counts {
		total += n - l.since(i)
	}
	most, count := 0, uint64(0)
	for i := len(h.Counts) - 1; i >= 0 && total > 0; i-- {
		if count += h.Counts[i] - l.since(i); count > total/10 {
			most = i
			break
		}
	}
	l.before = slices.Clone(h.Counts)
	return time.Duration(h.Buckets[most] * float64(time.Second)) // the lower bound: at least 0 if there is any
}

func (l *lag) since(i int) uint64 {
	if i < len(l.before) {
		return l.before[i]
	}
	return 0
}

// adapt lowers the limit of checks with goroutines while these wait for a CPU, and raises it while there is enough.
func (s *Scheduler) adapt(now time.Duration) {
	if !s.own || s.slow == 0 || now-s.lag.read < lagEvery {
		return
	}
	s.lag.read = now
	switch lag := s.lag.measure(); {
	case lag > lagAtMost:
		s.limit, s.lag.seen = max(min(s.limit, s.slow)/2, fewestSlow), true
		s.stalls.until = now
	case lag < lagAtEase && s.slow >= s.limit && s.lag.seen:
		s.limit = min(s.limit+max(s.limit/4, 1), s.concurrency)
	case lag < lagAtEase && s.slow >= s.limit:
		s.limit = min(s.limit*2, s.concurrency)
	}
}
