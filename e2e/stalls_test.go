package e2e

import (
	"sync"
	"testing"
	"time"
)

// stalls are the times in which this machine ran nothing of ours though it was due, as seen by a goroutine that is to
// run every few milliseconds.
type stalls struct {
	mu   sync.Mutex
	last time.Time
	most time.Duration
}

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
				s.note()
			}
		}
	}()
	return s
}

func (s *stalls) note() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.most = max(s.most, now.Sub(s.last)-stallLook)
	s.last = now
}

// worst is the longest so far.
func (s *stalls) worst() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.most
}
