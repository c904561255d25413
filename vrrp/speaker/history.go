package speaker

import (
	"crypto/rand"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/wallclock"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// historyLength is the minimum number of transitions kept for a director that restarts: four for each of 1,000 instances.
const historyLength = 4096

// transitionsPerLine limits the length of a line to the director.
const transitionsPerLine = 256

// series numbers transitions. It is in the memory that the parent keeps, so that the next speaker continues the numbering
// and the director can tell how many transitions a killed speaker did not report.
type series struct {
	id   [16]byte // random; zero: none yet
	last uint64
}

// history numbers transitions and keeps the latest.
type history struct {
	series *series
	id     string

	mu   sync.Mutex
	kept []vrrp.Transition // with consecutive numbers
}

func newHistory(s *series) *history {
	if s.id == [16]byte{} {
		copy(s.id[:], rand.Text())
	}
	return &history{series: s, id: string(s.id[:])}
}

// add numbers a transition.
func (h *history) add(t vrrp.Transition) {
	t.Series = h.id
	t.Sequence = atomic.AddUint64(&h.series.last, 1)
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.kept) == 2*historyLength {
		h.kept = h.kept[:copy(h.kept, h.kept[historyLength:])]
	}
	h.kept = append(h.kept, t)
}

// after returns the transitions that follow a position, as many as fit in a line. For a position in another series it
// starts with the oldest transition kept.
func (h *history) after(p vrrp.Position, now time.Time) []vrrp.Transition {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := h.kept
	if len(list) > 0 && p.Series == h.id && p.Sequence >= list[0].Sequence {
		list = list[min(p.Sequence-list[0].Sequence+1, uint64(len(list))):]
	}
	if len(list) == 0 {
		return nil
	}
	out := append([]vrrp.Transition(nil), list[:min(len(list), transitionsPerLine)]...)
	for i := range out {
		out[i].Time = wallclock.Export(out[i].Time, now)
	}
	return out
}
