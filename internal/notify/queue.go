package notify

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// receiver delivers messages. deliver makes all attempts; a message that it could not deliver is dropped.
type receiver interface {
	deliver(ctx context.Context, batch []Message) error
	// most returns the maximum number of messages per delivery, and pace the minimum time between two deliveries.
	most() int
	pace() time.Duration
	// wants reports whether the receiver gets messages of this kind.
	wants(m Message) bool
	// close releases resources. It is called in the goroutine that calls deliver, after the last delivery.
	close()
}

// queueLength bounds the messages that wait for a receiver. The oldest are dropped, since the latest states matter most.
const queueLength = 1000

// queue passes messages to a receiver in order, in a separate goroutine.
type queue struct {
	name string
	log  *slog.Logger
	wake chan struct{}
	done func()   // called when the number of waiting messages has decreased
	used receiver // receiver of the last delivery; used only by the delivering goroutine

	mu       sync.Mutex
	receiver receiver
	pending  []Message
	inFlight []Message
	next     time.Time // earliest time of the next delivery
	closed   bool      // run returns once the queue is empty
	hurried  bool      // ignore the pace
	stats    Stats
}

// Stats are the counters of a receiver.
type Stats struct {
	Name      string
	Waiting   int
	Delivered uint64
	Failed    uint64    // given up after all attempts
	Dropped   uint64    // too many were waiting
	Error     string    // why the last delivery failed or the next one will fail
	Since     time.Time // of the first failure since the last success
}

func newQueue(name string, r receiver, log *slog.Logger, done func()) *queue {
	return &queue{name: name, log: log, wake: make(chan struct{}, 1), done: done, receiver: r, stats: Stats{Name: name}}
}

func (q *queue) change(f func()) {
	q.mu.Lock()
	f()
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

func (q *queue) put(m Message) {
	dropped := uint64(0)
	q.change(func() {
		if !q.receiver.wants(m) {
			return
		}
		q.pending = append(q.pending, m)
		if len(q.pending) > queueLength {
			q.pending = q.pending[1:]
			q.stats.Dropped++
			dropped = q.stats.Dropped
		}
	})
	if dropped > 0 {
		q.log.Warn("notification dropped: too many are waiting", "receiver", q.name, "waiting", queueLength, "dropped", dropped)
	}
}

// run delivers until ctx ends, or until the queue is closed and empty.
func (q *queue) run(ctx context.Context) {
	defer func() {
		if q.used != nil {
			q.used.close()
		}
	}()
	q.mu.Lock()
	first := q.receiver
	q.mu.Unlock()
	if f, ok := first.(*fifo); ok { // create it for readers before the first message
		q.used = f
		if err := f.open(); err != nil {
			q.log.Warn("notification receiver cannot be used", "receiver", q.name, "error", err)
			q.change(func() { q.stats.Error, q.stats.Since = err.Error(), time.Now() })
		}
	}
	for ctx.Err() == nil {
		wait, over := q.begin()
		switch {
		case over:
			return
		case wait == 0:
			q.deliver(ctx)
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case <-q.wake:
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		timer.Stop()
	}
}

// idle is how long an empty queue waits; it is woken up when needed.
const idle = time.Hour

// begin takes the next messages for delivery, or returns how long to wait.
func (q *queue) begin() (wait time.Duration, over bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.pending) == 0 {
		return idle, q.closed
	}
	if wait := time.Until(q.next); wait > 0 && !q.hurried {
		return wait, false
	}
	n := min(len(q.pending), q.receiver.most())
	q.inFlight, q.pending = q.pending[:n:n], q.pending[n:]
	return 0, false
}

func (q *queue) deliver(ctx context.Context) {
	q.mu.Lock()
	r, batch := q.receiver, q.inFlight
	q.mu.Unlock()
	if q.used != nil && q.used != r { // replaced by a reload
		q.used.close()
	}
	q.used = r
	err := r.deliver(ctx, batch)
	if ctx.Err() != nil {
		return // the batch stays in progress; the next process delivers it
	}
	q.mu.Lock()
	n, failing := uint64(len(batch)), q.stats.Error != ""
	q.inFlight, q.next = nil, time.Now().Add(r.pace())
	if err == nil {
		q.stats.Delivered += n
		q.stats.Error, q.stats.Since = "", time.Time{}
	} else {
		q.stats.Failed += n
		if !failing {
			q.stats.Since = time.Now()
		}
		q.stats.Error = "the last notification failed: " + err.Error()
	}
	q.mu.Unlock()
	last := batch[len(batch)-1]
	switch {
	case err != nil:
		q.log.Warn("notification failed", "receiver", q.name, "instance", last.Instance, "state", last.State, "error", err)
	case failing:
		q.log.Info("notifications work again", "receiver", q.name)
	}
	q.done()
}

// before returns the position of the last event before the oldest undelivered one; waits is false if all are delivered.
func (q *queue) before() (p vrrp.Position, waits bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, list := range [][]Message{q.inFlight, q.pending} {
		for _, m := range list {
			if m.Pool == nil {
				p = m.Position()
				p.Sequence--
				return p, true
			}
		}
	}
	return p, false
}

func (q *queue) read() Stats {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := q.stats
	s.Waiting = len(q.pending) + len(q.inFlight)
	if r, ok := q.receiver.(interface{ unread() int }); ok { // what it has accepted has not arrived anywhere yet
		n := r.unread()
		s.Waiting, s.Delivered = s.Waiting+n, s.Delivered-uint64(n)
	}
	return s
}
