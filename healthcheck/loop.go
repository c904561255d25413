package healthcheck

import (
	"container/heap"
	"context"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// loop runs quick checks in one goroutine, on non-blocking sockets that it watches with one epoll. Compared with a goroutine
// and an os.File for each check, that halves the cost of an HTTP check.
//
// Its clock stands still while the loop does: a server's timeout does not run while this process has no CPU, and before a
// check times out, the loop looks once more for an answer.
type loop struct {
	done   func(flight, Result)               // receives each result
	safely func(flight, func() Result) Result // calls a function that may panic

	mu        sync.Mutex
	poller    *poller // nil until the first quick check
	queue     []flight
	cancelled []*exchange
	sleeping  bool // in epoll_wait, with nothing in the queue
	closing   bool
	ended     chan struct{}

	// Of the loop's goroutine:
	polled    time.Time     // last time that the loop has looked for answers
	clock     time.Duration // of the deadlines
	exchanges []*exchange   // by file descriptor; nil: not connecting or connected
	deadlines deadlines
	sockets   sockets
	buffer    []byte
	request   []byte
}

// exchange is a check on the loop. Its flight's context ends only when the check times out or is cancelled.
type exchange struct {
	flight
	fd       int
	reuse    socketKind
	stage    stage
	deadline time.Duration
	index    int // in the deadlines
	received []byte
	parts    int
	result   Result // if the server is to close the connection
}

type stage uint8

const (
	connecting stage = iota
	waiting          // for the response
	closing          // waiting for the server to close the connection
)

const (
	// lookAfter is the longest time between two looks while checks are in progress. If the loop takes longer, that is not
	// the servers' fault.
	lookAfter = 50 * time.Millisecond

	// startAtOnce limits the checks that are started between two looks.
	startAtOnce = 256
)

// open reports whether the loop runs, and starts it if necessary. Without file descriptors for it, checks have goroutines.
func (l *loop) open() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.poller == nil {
		poller, err := newPoller()
		if err != nil {
			return false
		}
		l.poller, l.ended = poller, make(chan struct{})
		l.buffer = make([]byte, quickBytes)
		go l.run()
	}
	return true
}

// close ends the loop, which must have no checks.
func (l *loop) close() {
	l.mu.Lock()
	l.closing = true
	poller := l.poller
	l.mu.Unlock()
	if poller != nil {
		poller.wake()
		<-l.ended
	}
}

// add starts a check. The loop must be open.
func (l *loop) add(f flight) {
	l.mu.Lock()
	l.queue = append(l.queue, f)
	l.rouse()
}

// cancel ends a check whose context was cancelled.
func (l *loop) cancel(x *exchange) {
	l.mu.Lock()
	l.cancelled = append(l.cancelled, x)
	l.rouse()
}

// rouse wakes up the loop, and releases its lock.
func (l *loop) rouse() {
	wake := l.sleeping
	l.sleeping = false
	l.mu.Unlock()
	if wake {
		l.poller.wake()
	}
}

func (l *loop) run() {
	defer close(l.ended)
	defer l.poller.close()
	defer l.sockets.close()
	l.polled = time.Now()
	for {
		starts, cancelled, wait, end := l.take()
		if end {
			return
		}
		for _, x := range cancelled {
			l.fail(x, context.Canceled)
		}
		for _, f := range starts {
			l.start(f)
		}
		events := l.poller.wait(wait)
		l.tick()
		for _, e := range events {
			l.handle(e)
		}
		l.expire()
	}
}

// take returns what is to be done, and how long the loop may sleep then.
func (l *loop) take() (starts []flight, cancelled []*exchange, wait time.Duration, end bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := min(len(l.queue), startAtOnce)
	starts = l.queue[:n]
	if l.queue = l.queue[n:]; len(l.queue) == 0 {
		l.queue = nil
	}
	cancelled, l.cancelled = l.cancelled, nil
	if l.sleeping = n == 0 && len(cancelled) == 0; l.sleeping {
		wait = time.Hour
		if len(l.deadlines) > 0 {
			wait = min(lookAfter, l.deadlines[0].deadline-l.clock)
		}
	}
	return starts, cancelled, wait, l.closing && n == 0
}

// tick advances the clock.
func (l *loop) tick() {
	l.mu.Lock()
	l.sleeping = false
	l.mu.Unlock()
	now := time.Now()
	l.clock += min(now.Sub(l.polled), lookAfter)
	l.polled = now
}

// start connects to the server of a check.
func (l *loop) start(f flight) {
	x := &exchange{flight: f, fd: -1, deadline: l.clock + f.timeout(), index: -1}
	if err := f.ctx.Err(); err != nil {
		l.end(x, failed(f.ctx, f.quick.timeout, "", err), true)
		return
	}
	var err error
	x.fd, x.reuse, err = l.sockets.connect(l.poller, f.target.Endpoint, f.quick.source)
	if err != nil {
		l.end(x, failed(f.ctx, f.quick.timeout, "", err), false)
		return
	}
	for x.fd >= len(l.exchanges) {
		l.exchanges = append(l.exchanges, nil)
	}
	l.exchanges[x.fd] = x
	heap.Push(&l.deadlines, x)
	f.ctx.whenCancelled(func() { l.cancel(x) })
}

// handle continues a check after an event of its socket.
func (l *loop) handle(e event) {
	if e.fd >= len(l.exchanges) || l.exchanges[e.fd] == nil {
		return // a socket that is not in use
	}
	x := l.exchanges[e.fd]
	if x.stage == connecting && !l.connected(x, e) {
		return
	}
	if x.stage != connecting && e.readable() {
		l.read(x, e)
	}
}

// connected continues a check whose connection is established, or reports that it is not in progress any more.
func (l *loop) connected(x *exchange, e event) bool {
	if e.failed() {
		switch err := connectResult(x.fd, x.target.Endpoint); {
		case err != nil && connectionInProgress(err):
			return false
		case err != nil:
			l.end(x, failed(x.ctx, x.quick.timeout, "", err), false)
			return false
		}
	} else if !e.writable() {
		return false
	}
	if x.quick.http == nil {
		l.end(x, Result{OK: true, Detail: "connected"}, false)
		return false
	}
	l.request = x.quick.http.appendRequest(l.request[:0], x.target.Endpoint)
	n, err := write(x.fd, l.request)
	switch {
	case err == unix.EAGAIN:
		return false
	case err != nil:
		l.end(x, failed(x.ctx, x.quick.timeout, "while sending the request", err), false)
		return false
	case n < len(l.request):
		l.handOff(x, l.request[n:], nil)
		return false
	}
	x.stage = waiting
	return true
}

// read reads what has arrived, and evaluates it.
func (l *loop) read(x *exchange, e event) {
	if x.stage == closing && e.closed() {
		l.end(x, x.result, false)
		return
	}
	for {
		n, err := read(x.fd, l.buffer)
		if err == unix.EAGAIN {
			return
		}
		end := error(nil)
		switch {
		case err != nil:
			end = err
		case n == 0, n < len(l.buffer) && e.closed():
			end = io.EOF
		}
		if l.evaluate(x, l.buffer[:n], end) || n < len(l.buffer) && !e.failed() {
			return
		}
	}
}

// evaluate evaluates a response of which a part has arrived, and reports whether the check has left the loop.
func (l *loop) evaluate(x *exchange, part []byte, end error) bool {
	if x.stage == closing {
		l.end(x, x.result, end != io.EOF)
		return true
	}
	all := part
	if len(x.received) > 0 {
		x.received = append(x.received, part...)
		all = x.received
	}
	x.parts++
	if x.quick.needsGoroutine() {
		x.received = all
		l.handOff(x, nil, end)
		return true
	}
	v := l.answer(x, all, end)
	switch {
	case v.enough:
		l.end(x, v.result, v.open)
		return true
	case v.closing:
		x.stage, x.result, x.received = closing, v.result, nil
		return false
	case len(x.received) == 0:
		x.received = append(x.received, part...)
	}
	if x.parts >= quickParts || len(x.received) >= quickBytes {
		l.handOff(x, nil, nil)
		return true
	}
	return false
}

// answer evaluates a response. A panic is a bad result, as in Scheduler.call.
func (l *loop) answer(x *exchange, received []byte, end error) (v verdict) {
	result := l.safely(x.flight, func() Result {
		v = x.quick.answer(x.ctx, received, end)
		return v.result
	})
	if result.Reason == Crashed {
		v = verdict{result: result, enough: true, open: true}
	}
	return v
}

// expire ends the checks whose deadline has passed, unless there is an answer by now.
func (l *loop) expire() {
	for len(l.deadlines) > 0 && l.deadlines[0].deadline <= l.clock {
		x := l.deadlines[0]
		l.handle(event{fd: x.fd, flags: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLERR})
		if l.exchanges[x.fd] == x {
			l.fail(x, context.DeadlineExceeded)
		}
	}
}

// fail ends a check that has no answer.
func (l *loop) fail(x *exchange, cause error) {
	if x.fd < 0 || l.exchanges[x.fd] != x {
		return // has ended
	}
	x.ctx.whenCancelled(nil)
	x.ctx.end(cause)
	switch x.stage {
	case connecting:
		l.end(x, failed(x.ctx, x.quick.timeout, "", os.ErrDeadlineExceeded), false)
	case waiting:
		v := l.answer(x, x.received, os.ErrDeadlineExceeded)
		l.end(x, v.result, v.open)
	case closing:
		l.end(x, x.result, true)
	}
}

// end reports the result of a check. If open, its connection is closed in order, otherwise with RST.
func (l *loop) end(x *exchange, r Result, open bool) {
	if x.fd >= 0 {
		l.leave(x)
		if open {
			_ = unix.Close(x.fd)
		} else {
			l.sockets.release(x.fd, x.reuse)
		}
	}
	l.done(x.flight, r)
}

// leave removes a check from the loop.
func (l *loop) leave(x *exchange) {
	l.exchanges[x.fd] = nil
	heap.Remove(&l.deadlines, x.index)
	x.ctx.whenCancelled(nil)
}

// handOff continues a check in a goroutine, where it may wait and take its time.
func (l *loop) handOff(x *exchange, unsent []byte, end error) {
	l.leave(x)
	unsent = append([]byte(nil), unsent...)
	received := append([]byte(nil), x.received...)
	left := max(x.deadline-l.clock, time.Millisecond)
	l.poller.remove(x.fd)
	f := os.NewFile(uintptr(x.fd), "connection")
	go func() {
		x.ctx.start(left)
		c := &conn{File: f, remote: x.target.Endpoint, keep: cut(x.ctx, func() { _ = f.SetDeadline(time.Unix(0, 1)) })}
		l.done(x.flight, l.safely(x.flight, func() Result { return x.quick.resume(x.ctx, c, unsent, received, end) }))
	}()
}

// deadlines is a heap of the checks on the loop.
type deadlines []*exchange

// Len, Less, Swap, Push and Pop implement heap.Interface.
func (h deadlines) Len() int           { return len(h) }
func (h deadlines) Less(i, j int) bool { return h[i].deadline < h[j].deadline }
func (h deadlines) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *deadlines) Push(x any) {
	e := x.(*exchange)
	e.index = len(*h)
	*h = append(*h, e)
}

func (h *deadlines) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return e
}
