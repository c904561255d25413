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

	// looked is when the last turn read packets. If receiving is sure, the stall began later. One that is shorter than the interval
	// between adverts is not the reason for the silence of several intervals.
	looked   time.Time
	interval func() time.Duration // the shortest one in use; nil: any stall may be the reason

	// worked is when the loop last finished work for many timers. Those that became due meanwhile are late for that reason, which
	// is no sign of a stall; but if receiving is not sure, because the host has one CPU, it may have kept the kernel from receiving.
	worked  time.Time
	receive func() bool // the kernel receives packets while the loop works; nil: not sure
}

// over reports whether timers that wait for a packet may fire at now, the first of which is due at first.
func (l *listening) over(first, now time.Time) bool {
	if first.IsZero() || first.After(now) {
		return true
	}
	if now.Before(l.until) {
		return false
	}
	if first.Before(l.until) {
		return true
	}
	late, sure := now.Sub(first), l.receive != nil && l.receive()
	if sure && l.worked.After(first) {
		late = now.Sub(l.worked)
	}
	if late <= lateEnough || sure && l.interval != nil && now.Sub(l.looked) < l.interval() {
		return true
	}
	l.until = now.Add(min(2*late, listenMost))
	return false
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
