package speaker

import (
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
	x.at = at
	switch {
	case x.position == 0:
		h.push(x)
	case early > 0 || at.Before((*h)[x.position-1].at):
		h.move(x.position - 1)
	}
	// A timer that waits for a packet and is postponed keeps its place, because most packets postpone one. See settle.
}

func (t *timers) of(x *timer) *timerHeap {
	if x.early > 0 {
		return &t.sends
	}
	return &t.waits
}

func (t *timers) unset(x *timer) {
	if x.position != 0 {
		t.of(x).remove(x.position - 1)
	}
}

// next returns the time at which the first timer is due, or zero if none is set.
func (t *timers) next() time.Time {
	t.waits.settle(time.Time{})
	return earlier(t.waits.first(), t.sends.first())
}

// firstWait returns the time of the first timer that waits for a packet if it is due, otherwise a time after now, or zero if none
// is set.
func (t *timers) firstWait(now time.Time) time.Time {
	t.waits.settle(now.Add(settleAhead))
	return t.waits.first()
}

// waitDue reports whether a timer that waits for a packet is due.
func (t *timers) waitDue(now time.Time) bool {
	first := t.firstWait(now)
	return !first.IsZero() && !first.After(now)
}

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

// fireWaits returns the number of timers that were due.
func (t *timers) fireWaits(now time.Time) (fired int) {
	for range len(t.waits) {
		if !t.waitDue(now) {
			break
		}
		t.fireFirst(&t.waits, now)
		fired++
	}
	return fired
}

// send runs the sending timers that are due, or that may fire early: routers whose times are close then share one wake-up
// in every interval. Each timer is passed its own time, so that its period does not drift.
func (t *timers) send(now time.Time) {
	for range len(t.sends) {
		if len(t.sends) == 0 || t.sends[0].at.After(now.Add(t.sends[0].timer.early)) {
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
	x := (*h)[0].timer
	t.unset(x)
	x.fire(now)
}

// settleAhead is how long before its turn a postponed timer is moved to its place when the loop looks for timers that are due.
// Otherwise each of a thousand routers, whose adverts come together, could wake it.
const settleAhead = earlyMost

// timerHeap is a heap of timers, the earliest on top. It has their times next to each other: the timers are spread over the memory
// of as many routers.
type timerHeap []entryAt

// entryAt is a timer in the heap, at its time or an earlier one.
type entryAt struct {
	at    time.Time
	timer *timer
}

// first returns the time of the top, or zero if there is none.
func (h timerHeap) first() time.Time {
	if len(h) == 0 {
		return time.Time{}
	}
	return h[0].at
}

// earlier returns the earlier of two times, of which zero means never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// settle moves postponed timers from the top to their places, as long as the top is due at until, or, if that is zero, as long as
// the top is a postponed one.
func (h timerHeap) settle(until time.Time) {
	for len(h) > 0 && h[0].at.Before(h[0].timer.at) && (until.IsZero() || !h[0].at.After(until)) {
		h.move(0)
	}
}

func (h *timerHeap) push(x *timer) {
	*h = append(*h, entryAt{x.at, x})
	x.position = len(*h)
	h.up(len(*h) - 1)
}

// move puts the i-th timer where its time belongs.
func (h timerHeap) move(i int) {
	h[i].at = h[i].timer.at
	if !h.down(i) {
		h.up(i)
	}
}

func (h *timerHeap) remove(i int) {
	last := len(*h) - 1
	(*h)[i].timer.position = 0
	if i < last {
		h.put(i, (*h)[last])
	}
	(*h)[last] = entryAt{}
	*h = (*h)[:last]
	if i < last && !h.down(i) {
		h.up(i)
	}
}

func (h timerHeap) put(i int, e entryAt) { h[i], e.timer.position = e, i+1 }

func (h timerHeap) up(i int) {
	for e := h[i]; i > 0; {
		above := (i - 1) / 2
		if !e.at.Before(h[above].at) {
			return
		}
		h.put(i, h[above])
		h.put(above, e)
		i = above
	}
}

// down reports whether it has moved the timer.
func (h timerHeap) down(i int) (moved bool) {
	for e := h[i]; ; moved = true {
		below := 2*i + 1
		if below >= len(h) {
			return moved
		}
		if right := below + 1; right < len(h) && h[right].at.Before(h[below].at) {
			below = right
		}
		if !h[below].at.Before(e.at) {
			return moved
		}
		h.put(i, h[below])
		h.put(below, e)
		i = below
	}
}
