package e2e

import (
	"sync"
	"testing"
	"time"
)

// stalls are the times in which this machine did not run a goroutine that was due every few milliseconds.
type stalls struct {
	mu    sync.Mutex
	last  time.Time
	spans []span
}

// span is the time between two runs, the second of which was late.
type span struct{ from, to time.Time }

const stallLook = 5 * time.Millisecond

func watchStalls(t *testing.T) *stalls {
	s := &stalls{last: time.Now()}
	tick := time.NewTicker(stallLook)
	t.Cleanup(tick.Stop)
	go func() {
		for {
			select {
			case <-t.Context().Done():
				return
			case <-tick.C:
				s.note(time.Now())
			}
		}
	}()
	return s
}

func (s *stalls) note(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.last) > 2*stallLook {
		s.spans = append(s.spans, span{s.last, now})
	}
	s.last = now
}

// within returns the longest stall between two moments. A stall across a boundary counts partially.
func (s *stalls) within(from, to time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	var most time.Duration
	for _, one := range s.spans {
		begin, end := one.from, one.to
		if begin.Before(from) {
			begin = from
		}
		if end.After(to) {
			end = to
		}
		most = max(most, end.Sub(begin)-stallLook)
	}
	return most
}

func TestStallsWithin(t *testing.T) {
	start := time.Now()
	at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	s := &stalls{last: start}
	for _, ms := range []int{5, 10, 310, 315, 325, 330, 380, 385} {
		s.note(at(ms))
	}
	for _, tt := range []struct{ from, to, want int }{
		{0, 400, 295}, {0, 10, 0}, {311, 400, 45}, {210, 312, 95}, {340, 350, 5}, {381, 400, 0}, {312, 329, 0},
	} {
		if got, want := s.within(at(tt.from), at(tt.to)), time.Duration(tt.want)*time.Millisecond; got != want {
			t.Errorf("from %d to %d ms: %v, want %v", tt.from, tt.to, got, want)
		}
	}
}
