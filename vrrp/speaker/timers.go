package speaker

import (
	"container/heap"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/histogram"
)

// timer calls fire on the loop's goroutine when it is due.
type timer struct {
	at       time.Time
	fire     func(now time.Time)
	position int // in the heap plus one; 0: not set

	// early is how much earlier the timer may fire if the loop is awake anyway. It is zero for a timer that a packet may
	// cancel. Other timers may fire while packets are queued.
	early time.Duration
}

// timers holds the timers that are set: those that wait for a packet, and those that only send.
type timers struct {
	waits, sends timerHeap
	late         histogram.Histogram // of those that send
}

// set sets a timer that waits for a packet.
func (t *timers) set(x *timer, at time.Time) { t.setIn(&t.waits, x, at, 0) }

// setSend sets a timer that only sends, and may fire up to early before its time.
func (t *timers) setSend(x *timer, at time.Time, early time.Duration) {
	t.setIn(&t.sends, x, at, max(early, 1))
}

func (t *timers) setIn(h *timerHeap, x *timer, at time.Time, early time.Duration) {
	if x.position != 0 && t.of(x) != h {
		t.unset(x)
	}
	x.early = early
	switch {
	case x.position == 0:
		x.at = at
		heap.Push(h, x)
	case !x.at.Equal(at):
		x.at = at
		heap.Fix(h, x.position-1)
	}
}

func (t *timers) of(x *timer) *timerHeap {
	if x.early > 0 {
		return &t.sends
	}
	return &t.waits
}

func (t *timers) unset(x *timer) {
	if x.position != 0 {
		heap.Remove(t.of(x), x.position-1)
	}
}

// next returns the time at which the first timer is due, or zero if none is set.
func (t *timers) next() time.Time {
	first := t.waits.next()
	if send := t.sends.next(); first.IsZero() || !send.IsZero() && send.Before(first) {
		return send
	}
	return first
}

// waitDue reports whether a timer that waits for a packet is due.
func (t *timers) waitDue(now time.Time) bool { return len(t.waits) > 0 && !t.waits[0].at.After(now) }

// fire runs the timers that are due. A timer set for the same time by another one runs at the next call, so that fire
// returns.
func (t *timers) fire(now time.Time) {
	t.fireSends(now)
	t.fireWaits(now)
}

func (t *timers) fireSends(now time.Time) {
	for range len(t.sends) {
		if len(t.sends) == 0 || t.sends[0].at.After(now) {
			break
		}
		t.late.Add(now.Sub(t.sends[0].at))
		t.fireFirst(&t.sends, now)
	}
}

func (t *timers) fireWaits(now time.Time) {
	for range len(t.waits) {
		if len(t.waits) == 0 || t.waits[0].at.After(now) {
			break
		}
		t.fireFirst(&t.waits, now)
	}
}

// send runs the sending timers that are due, or that may fire early: routers whose times are close then share one wake-up
// in every interval. Each timer is passed its own time, so that its period does not drift.
func (t *timers) send(now time.Time) {
	for range len(t.sends) {
		if len(t.sends) == 0 || t.sends[0].at.After(now.Add(t.sends[0].early)) {
			return
		}
		t.late.Add(now.Sub(t.sends[0].at))
		moment := now
		if at := t.sends[0].at; at.After(now) {
			moment = at
		}
		t.fireFirst(&t.sends, moment)
	}
}

func (t *timers) fireFirst(h *timerHeap, now time.Time) {
	x := (*h)[0]
	t.unset(x)
	x.fire(now)
}

// timerHeap is a heap of timers, the earliest on top.
type timerHeap []*timer

func (h timerHeap) next() time.Time {
	if len(h) == 0 {
		return time.Time{}
	}
	return h[0].at
}

func (h timerHeap) Len() int           { return len(h) }
func (h timerHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }

func (h timerHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].position, h[j].position = i+1, j+1
}

func (h *timerHeap) Push(x any) {
	*h = append(*h, x.(*timer))
	x.(*timer).position = len(*h)
}

func (h *timerHeap) Pop() any {
	last := len(*h) - 1
	x := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	x.position = 0
	return x
}
