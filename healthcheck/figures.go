package healthcheck

import (
	"maps"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/histogram"
)

// KindFigures are what the checks of one kind have done since the scheduler was created.
type KindFigures struct {
	Took    histogram.Histogram
	Late    histogram.Histogram // delays of the starts
	Results map[Reason]uint64   // by the reason of failures; "" counts good results
}

// add counts a result.
func (f *KindFigures) add(r Result, took, late time.Duration) {
	f.Took.Add(took)
	f.Late.Add(late)
	f.Results[r.Reason]++
}

// kindOf returns the figures of a kind.
func (s *Scheduler) kindOf(k Kind) *KindFigures {
	f := s.kinds[k]
	if f == nil {
		f = &KindFigures{Results: map[Reason]uint64{}}
		s.kinds[k] = f
	}
	return f
}

// Figures returns those of all kinds.
func (s *Scheduler) Figures() map[Kind]KindFigures {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[Kind]KindFigures, len(s.kinds))
	for k, f := range s.kinds {
		one := *f
		one.Results = maps.Clone(f.Results)
		all[k] = one
	}
	return all
}
