package speaker

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// loop runs an engine on the calling goroutine. It sleeps in the poller and passes packets, timers and the calls of other
// goroutines to the engine.
type loop struct {
	engine   *engine
	poller   *poller
	receiver *receiver
	sender   sender
	now      func() time.Time // reads the clock
	arrival  func(stamp int64, after, now time.Time) time.Time
	publish  func([]vrrp.Status)
	read     int           // packets, in this turn
	heard    time.Time     // when packets were last read
	pause    time.Duration // the longest rest at the end of the last turn; zero if there was none
	listen   listening

	behind bool      // many timers were due in the last turn
	called time.Time // when calls were last run

	mu     sync.Mutex
	calls  []func(now time.Time)
	woken  bool // since the loop last took a call
	closed bool

	turns atomic.Uint64
}

// leastCost is the minimum space in bytes that a packet uses in a receive buffer: struct sk_buff and struct
// skb_shared_info of linux/skbuff.h, without the packet's data.
const leastCost = 256 + 320

// maxBatches limits the batches read from one socket before the timers that wait for a packet are run. It exceeds the
// capacity of the buffer, which is twice the requested size (socket(7), SO_RCVBUF), so that all packets that were queued
// when reading started are read.
const maxBatches = 2*receiveBuffer/leastCost/batchLen + 1

// maxPolls limits how often the sockets are polled before timers are run.
const maxPolls = 16

// maxCalls limits how many calls of other goroutines are run before timers are run.
const maxCalls = 32

// If manyFired timers that wait for a packet are due in a turn, the calls of the next one wait, for callPatience at most. When a
// thousand routers take over, what follows the addition of each one's addresses would delay the adverts of the others.
const (
	manyFired    = 4
	callPatience = 20 * time.Millisecond
)

// lateEnough is how late a timer must be for the process to have been stopped, or the CPU to have been busy.
const lateEnough = time.Millisecond

// restTime is how long the sockets are not polled after packets were read, if others were read within denseGap before.
// Packets that arrive meanwhile share one wake-up, which costs far more than a packet. It is a tenth of the shortest
// interval.
const (
	restTime = time.Millisecond
	denseGap = 2 * restTime

	// In a flood, floodPackets or more in restTime, each rest is twice as long as the one before, up to restMost. Time
	// stamps keep timers right, and a wake-up is what a flood costs most where system calls are slow.
	restMost     = 4 * restTime
	floodPackets = 8
)

// post queues a function to be run on the engine's goroutine. It may be called from any goroutine. It returns false if the
// loop has ended.
func (l *loop) post(f func(now time.Time)) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.calls = append(l.calls, f)
	if !l.woken {
		l.woken = true
		l.poller.wake()
	}
	return true
}

// leave is post for a function that need not run before the next turn, which is at the next timer at the latest. It does not wake
// the loop, which costs much more than most functions.
func (l *loop) leave(f func(now time.Time)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.calls = append(l.calls, f)
	}
}

// call runs posted functions. After maxCalls it returns, so that packets and timers are handled.
func (l *loop) call(now time.Time) {
	for range maxCalls {
		f := l.takeCall()
		if f == nil {
			return
		}
		f(now)
	}
	l.poller.wake()
}

func (l *loop) takeCall() func(time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.woken = false
	if len(l.calls) == 0 {
		return nil
	}
	f := l.calls[0]
	l.calls[0] = nil
	l.calls = l.calls[1:]
	return f
}

// run runs the loop until the engine has stopped.
func (l *loop) run() error {
	defer l.close()
	for !l.engine.stopped() {
		if err := l.turn(); err != nil {
			return err
		}
	}
	return nil
}

// turn waits for packets, timers and calls, and handles them.
func (l *loop) turn() error {
	l.turns.Add(1)
	next := l.listen.next(&l.engine.timers)
	if err := l.wait(next); err != nil {
		return err
	}
	l.read = 0
	now := l.drain()
	if now.IsZero() {
		now = l.now()
	}
	if err := l.readWaiting(now, !next.IsZero() && now.Sub(next) > lateEnough); err != nil {
		return err
	}
	if l.behind && now.Sub(l.called) < callPatience {
		l.poller.wake() // for the next turn
	} else {
		l.called = now
		l.call(now)
	}
	l.engine.timers.send(now)
	l.engine.flush(now)
	l.behind = l.fire(now) >= manyFired
	l.engine.flush(now)
	l.listen.looked = now
	if l.behind {
		l.listen.worked = l.now()
	}
	if len(l.engine.changed) > 0 {
		l.publish(l.engine.takeChanged(time.Now()))
	}
	l.rest(now)
	return nil
}

// fire runs the timers that are due, unless those that wait for a packet must wait longer. It returns the number of the latter.
func (l *loop) fire(now time.Time) int {
	l.engine.timers.fireSends(now)
	if l.listen.over(l.engine.timers.firstWait(now), now) {
		return l.engine.timers.fireWaits(now)
	}
	return 0
}

// rest sleeps for a short time without polling the sockets if packets arrive close together.
func (l *loop) rest(now time.Time) {
	if l.read == 0 {
		l.pause = 0
		return
	}
	l.pause = pauseAfter(l.read, now.Sub(l.heard), l.pause)
	l.heard = now
	if l.pause > 0 {
		l.poller.rest(restFor(l.pause, now, l.listen.next(&l.engine.timers)))
	}
}

// pauseAfter returns how long to rest after a turn that read packets, some time after the last ones and after the rest last.
func pauseAfter(packets int, after, last time.Duration) time.Duration {
	switch {
	case after >= denseGap+max(last-restTime, 0):
		return 0
	case last > 0 && packets*int(restTime) >= floodPackets*int(after):
		return min(2*last, restMost)
	}
	return restTime
}

// wait waits for packets, a call or the next timer. After a rest there is usually work already.
func (l *loop) wait(next time.Time) error {
	if l.pause > 0 {
		return l.poller.pollAfterRest()
	}
	return l.poller.wait(next)
}

// restFor returns how long to rest at now, at most pause, so that the next timer, zero for none, fires on time.
func restFor(pause time.Duration, now, next time.Time) time.Duration {
	if next.IsZero() {
		return pause
	}
	return min(pause, next.Sub(now))
}

// readWaiting reads all queued packets if a timer that waits for a packet is due at now, so that an advert that arrived in time
// is handled before the timer, even if it is read late.
func (l *loop) readWaiting(now time.Time, late bool) error {
	again := late || l.engine.timers.waitDue(now)
	for n := 0; n < maxPolls && (again || l.poller.more); n++ {
		again = false
		if err := l.poller.poll(); err != nil {
			return err
		}
		l.drain()
	}
	return nil
}

// drain reads all packets queued on the readable sockets. It returns the time after the last packet, or zero if it read
// none.
func (l *loop) drain() (now time.Time) {
	for _, s := range l.poller.ready {
		if after := l.drainSocket(s); !after.IsZero() {
			now = after
		}
	}
	return now
}

func (l *loop) drainSocket(s *socket) (now time.Time) {
	w := l.engine.wires[s.key]
	if w == nil || w.socket != s {
		return now
	}
	for range maxBatches {
		n, err := l.receiver.read(s.fd)
		switch {
		case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
			return now
		case err != nil:
			now = l.now()
			l.engine.broken(w, err, now)
			return now
		}
		now = l.now()
		l.read += n
		for i := range n {
			p := l.receiver.at(i, s.key.Family)
			p.At = l.arrived(s, p.Stamp, now)
			l.engine.receive(w, p, now)
		}
		if n < batchLen {
			s.queue.empty(now)
			break
		}
		// Send our own adverts on time, even if many packets are queued.
		l.engine.timers.send(now)
		l.engine.flush(now)
	}
	return now
}

// staleAge is the age from which an advert counts as old only if the queue had room for newer ones.
const staleAge = 10 * time.Millisecond

// arrived returns when the kernel received a packet that was read from a socket before now.
func (l *loop) arrived(s *socket, stamp int64, now time.Time) time.Time {
	if stamp == 0 {
		return now
	}
	at := l.arrival(stamp, s.queue.emptied, now)
	if now.Sub(at) > staleAge && s.overflowed() {
		return now
	}
	return at
}

func (l *loop) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed, l.calls = true, nil
	l.poller.close()
}

// Open opens a socket on a separate goroutine.
func (l *loop) Open(ifc netInterface, key socketKey, opened func(*socket, error, time.Time)) {
	go func() {
		s, err := openSocket(ifc, key)
		running := l.post(func(now time.Time) {
			if err == nil {
				if err = l.poller.add(s); err != nil {
					s.close()
				}
			}
			opened(s, err, now)
		})
		if !running && err == nil {
			s.close()
		}
	}()
}

// Close closes a socket.
func (l *loop) Close(s *socket) { l.poller.remove(s) }

// Send sends adverts.
func (l *loop) Send(s *socket, messages []*outgoing) (int, error) {
	return l.sender.send(s.fd, messages)
}
