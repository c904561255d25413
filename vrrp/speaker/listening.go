package speaker

import "time"

// listenMost limits how long timers that wait for a packet are postponed.
const listenMost = 10 * time.Millisecond

// listening postpones the timers that wait for a packet if the first of them is late. The host was stalled then, and with it
// possibly the master, or the CPU was so busy that the kernel did not receive packets either: it does that in a thread of
// normal priority. A router that listens for twice as long as it was late, without using the CPU, does not take over
// from such a master.
type listening struct {
	until time.Time
}

// over reports whether timers that wait for a packet may fire at now, the first of which is due at first.
func (l *listening) over(first, now time.Time) bool {
	if first.IsZero() || first.After(now) {
		return true
	}
	if now.Before(l.until) {
		return false
	}
	if late := now.Sub(first); late > lateEnough && !first.Before(l.until) {
		l.until = now.Add(min(2*late, listenMost))
		return false
	}
	return true
}

// next returns a time before which no timer may fire, or zero if none is set. It is that of the next timer, or, if a packet has
// postponed one, possibly the time for which that one was set before.
func (l *listening) next(t *timers) time.Time {
	first := t.waits.first()
	if !first.IsZero() && first.Before(l.until) {
		first = l.until
	}
	return earlier(first, t.sends.first())
}
