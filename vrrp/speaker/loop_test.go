package speaker

import (
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvs-ha/lvs-ha/internal/lab"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

func TestTimers(t *testing.T) {
	random, _ := lab.Generate(t, 1)
	var ts timers
	var fired []int
	zero := time.Now()
	at := func(i int) time.Time { return zero.Add(time.Duration(i) * time.Second) }
	all := make([]*timer, 100)
	for i := range all {
		all[i] = &timer{fire: func(time.Time) { fired = append(fired, i) }}
	}
	for _, i := range random.Perm(len(all)) {
		ts.set(all[i], at(random.IntN(1000)))
	}
	for _, i := range random.Perm(len(all)) {
		ts.set(all[i], at(i)) // moved
	}
	for i := range all {
		if i%3 == 0 {
			ts.unset(all[i])
			ts.unset(all[i])
		}
	}
	if next := ts.next(); !next.Equal(at(1)) {
		t.Errorf("the first is at %s", next.Sub(zero))
	}
	ts.fire(at(50))
	var want []int
	for i := range 51 {
		if i%3 != 0 {
			want = append(want, i)
		}
	}
	if !slices.Equal(fired, want) {
		t.Errorf("fired %v, want %v", fired, want)
	}
	ts.fire(at(1000))
	if len(fired) != 66 || !ts.next().IsZero() {
		t.Errorf("fired %d, next %s", len(fired), ts.next())
	}
}

// TestPostponedTimers checks that timers that packets postpone keep their places until the first of them would be due, and then wake
// the loop once.
func TestPostponedTimers(t *testing.T) {
	var ts timers
	var quiet listening
	zero, fired := time.Now(), 0
	at := func(d time.Duration) time.Time { return zero.Add(d) }
	all := make([]timer, 100)
	const down, interval, apart = 3600 * time.Millisecond, time.Second, 20 * time.Microsecond
	for n := range 3 {
		for i := range all {
			all[i].fire = func(time.Time) { fired++ }
			ts.set(&all[i], at(time.Duration(n)*interval+down+time.Duration(i)*apart))
		}
	}
	if next := quiet.next(&ts); !next.Equal(at(down)) {
		t.Errorf("the loop is woken after %v, want %v", next.Sub(zero), down)
	}
	ts.fire(at(down))
	if next := quiet.next(&ts); fired != 0 || !next.Equal(at(2*interval+down)) {
		t.Errorf("%d fired; the loop is woken after %v, want %v", fired, next.Sub(zero), 2*interval+down)
	}
	ts.set(&all[50], at(interval+down)) // brought forward
	if next := ts.next(); !next.Equal(at(interval + down)) {
		t.Errorf("the first is due after %v, want %v", next.Sub(zero), interval+down)
	}
	ts.fire(at(2*interval + down + 100*apart))
	if fired != len(all) || !ts.next().IsZero() {
		t.Errorf("%d fired, want %d", fired, len(all))
	}
}

// TestTimersEnd uses a timer that sets itself for the same time.
func TestTimersEnd(t *testing.T) {
	var ts timers
	n := 0
	x := &timer{}
	x.fire = func(now time.Time) {
		n++
		ts.set(x, now)
	}
	ts.set(x, time.Now())
	ts.fire(time.Now())
	if n != 1 || ts.next().IsZero() {
		t.Errorf("fired %d times", n)
	}
}

// TestTimersSendEarly checks that a sending timer may share another timer's wake-up without drift, and that a waiting timer
// may not.
func TestTimersSendEarly(t *testing.T) {
	var ts timers
	zero := time.Now()
	at := func(ms int) time.Time { return zero.Add(time.Duration(ms) * time.Millisecond) }
	const interval = 10 * time.Millisecond
	var told []time.Time
	near, waits := &timer{}, &timer{fire: func(time.Time) { t.Error("a timer that waits has fired early") }}
	near.fire = func(now time.Time) {
		told = append(told, now)
		ts.setSend(near, now.Add(interval), time.Millisecond)
	}
	ts.setSend(near, at(1), time.Millisecond)
	ts.set(waits, at(1))
	for round := range 3 {
		ts.send(at(10 * round))
	}
	if want := []time.Time{at(1), at(11), at(21)}; !slices.EqualFunc(told, want, time.Time.Equal) {
		t.Errorf("sent at %v, want %v", told, want)
	}
	ts.unset(waits)
	ts.set(near, at(40)) // now a waiting timer
	if ts.send(at(40)); len(told) != 3 || !ts.next().Equal(at(40)) {
		t.Errorf("sent %d times; next %v", len(told), ts.next().Sub(zero))
	}
	if ts.fire(at(40)); len(told) != 4 {
		t.Errorf("fired %d times", len(told))
	}
}

// TestAdvertsBetweenBatches checks that queued packets, valid or not, do not delay our own adverts.
func TestAdvertsBetweenBatches(t *testing.T) {
	l, w, send := floodedLoop(t, 4*batchLen)
	var read []uint64
	x := &timer{fire: func(time.Time) { read = append(read, w.drops.count[vrrp.DropTruncated]) }}
	l.engine.timers.setSend(x, time.Now(), 0)
	send()
	l.drainSocket(w.socket)
	if len(read) != 1 || read[0] != batchLen {
		t.Errorf("sent after %v packets, want after %d", read, batchLen)
	}
	if got := w.drops.count[vrrp.DropTruncated]; got != 4*batchLen {
		t.Errorf("%d packets were read", got)
	}
}

// TestInTimeIsHeard checks that an advert that arrives while other packets are read is handled before a waiting timer that
// has become due meanwhile.
func TestInTimeIsHeard(t *testing.T) {
	l, flooded, flood := floodedLoop(t, 2*batchLen)
	quiet, advert := l.addWire(t, "eth1")
	if err := l.poller.add(quiet.socket); err != nil {
		t.Fatal(err)
	}
	if err := l.poller.add(flooded.socket); err != nil {
		t.Fatal(err)
	}
	var heard []uint64
	down := &timer{fire: func(time.Time) { heard = append(heard, quiet.drops.count[vrrp.DropTruncated]) }}
	// It fires between the batches, long before its time, so that the loop is not considered late.
	arrives := &timer{fire: func(time.Time) {
		advert(1)
		l.engine.timers.set(down, time.Now())
	}}
	l.engine.timers.setSend(arrives, time.Now().Add(time.Hour), 2*time.Hour)
	flood()
	if err := l.turn(); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(heard, []uint64{1}) {
		t.Errorf("the timer fired after %d packets, want once after 1", heard)
	}
}

// TestRest checks that packets within a millisecond share a wake-up, and that this delays no timer.
func TestRest(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		next time.Time
		want time.Duration
	}{
		{time.Time{}, restMost},
		{now.Add(time.Second), restMost},
		{now.Add(restTime / 2), restTime / 2},
		{now, 0},
		{now.Add(-time.Second), -time.Second},
	} {
		if got := restFor(restMost, now, c.next); got != c.want {
			t.Errorf("the next timer %v from now: rests %v, want %v", c.next.Sub(now), got, c.want)
		}
	}
}

// TestPauseGrows checks that rests become longer only in a flood.
func TestPauseGrows(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		packets           int
		after, last, want time.Duration
	}{
		{100, time.Second, 0, 0},
		{100, 1 * ms, 0, restTime},
		{1, 1 * ms, restTime, restTime},
		{floodPackets, 1 * ms, restTime, 2 * restTime},
		{floodPackets, 2 * ms, 2 * restTime, restTime},
		{2 * floodPackets, 2 * ms, 2 * restTime, 4 * restTime},
		{1000, 4 * ms, 4 * restTime, restMost},
		{1, 4 * ms, 4 * restTime, restTime},
		{1, 6 * ms, 4 * restTime, 0},
	} {
		if got := pauseAfter(c.packets, c.after, c.last); got != c.want {
			t.Errorf("%d packets in %v, after a rest of %v: %v, want %v", c.packets, c.after, c.last, got, c.want)
		}
	}
}

// TestRestEnds checks that a call ends a rest and packets do not.
func TestRestEnds(t *testing.T) {
	l, w, send := floodedLoop(t, 1)
	if err := l.poller.add(w.socket); err != nil {
		t.Fatal(err)
	}
	rest := func(d time.Duration) time.Duration {
		began := time.Now()
		l.poller.rest(d)
		return time.Since(began)
	}
	send()
	const tries = 100 // the Go runtime's signals may end one
	var longest time.Duration
	for n := 0; n < tries && longest < restTime; n++ {
		longest = rest(restTime)
	}
	if longest < restTime {
		t.Errorf("a packet ended the rest after %v", longest)
	}
	l.poller.wake()
	if took := rest(time.Minute); took > 10*time.Second {
		t.Errorf("a call did not end the rest for %v", took)
	}
}

// floodedLoop returns a loop and a function that queues the given number of invalid packets on its socket.
func floodedLoop(t *testing.T, packets int) (l *loop, w *wire, send func()) {
	t.Helper()
	p, err := newPoller()
	if err != nil {
		t.Fatal(err)
	}
	l = &loop{poller: p, receiver: newReceiver(), now: time.Now, engine: newRig(t).engine, publish: func([]vrrp.Status) {}}
	t.Cleanup(p.close)
	w, sendN := l.addWire(t, "eth0")
	return l, w, func() { sendN(packets) }
}

// addWire adds a wire to a loop and returns a function that queues invalid packets on its socket.
func (l *loop) addWire(t *testing.T, name string) (w *wire, send func(packets int)) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	s := &socket{key: socketKey{Interface: name, Family: vrrp.IPv4}, fd: fd}
	t.Cleanup(func() {
		if l.poller.sockets[int32(fd)] == nil {
			s.close() // otherwise the poller closes it
		}
	})
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	to, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	w = &wire{key: s.key, socket: s}
	l.engine.wires[s.key] = w
	return w, func(packets int) {
		for range packets {
			if err := unix.Sendto(fd, []byte("x"), 0, to); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestPoller(t *testing.T) {
	p, err := newPoller()
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	wait := func(deadline time.Time) time.Duration {
		t.Helper()
		began := time.Now()
		if err := p.wait(deadline); err != nil {
			t.Fatal(err)
		}
		return time.Since(began)
	}
	p.wake()
	p.wake()
	wait(time.Time{})
	deadline := time.Now().Add(20 * time.Millisecond)
	if wait(deadline); time.Now().Before(deadline) {
		t.Error("woke before the deadline")
	}
	if took := wait(time.Now().Add(-time.Second)); took > 5*time.Second {
		t.Errorf("slept %s though the deadline had passed", took)
	}
	// An earlier deadline replaces a later one; without a deadline only a call ends the wait.
	go func() {
		<-time.After(30 * time.Millisecond)
		p.wake()
	}()
	far := time.Now().Add(time.Hour)
	wait(far)
	near := time.Now().Add(10 * time.Millisecond)
	if wait(near); time.Now().Before(near) {
		t.Error("woke before the nearer deadline")
	}
	woken := make(chan struct{})
	go func() {
		<-time.After(30 * time.Millisecond)
		close(woken)
		p.wake()
	}()
	wait(time.Time{})
	select {
	case <-woken:
	default:
		t.Error("a timer that had fired woke it again")
	}
}

// TestWaitYields checks that a garbage collection, which stops all goroutines, is not delayed until a wait ends.
func TestWaitYields(t *testing.T) {
	p, err := newPoller()
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	waits, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		for range waits {
			if err := p.wait(time.Time{}); err != nil {
				ended <- err
				return
			}
		}
		ended <- nil
	}()
	began := time.Now()
	for range 50 {
		waits <- struct{}{}
		runtime.GC()
		p.wake()
	}
	if took := time.Since(began); took > 10*time.Second { // usually 0.3 s; 30 s if it is delayed
		t.Errorf("50 collections took %v", took)
	}
	close(waits)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestLoopCalls(t *testing.T) {
	p, err := newPoller()
	if err != nil {
		t.Fatal(err)
	}
	l := &loop{poller: p, receiver: newReceiver(), now: time.Now}
	g := newRig(t)
	l.engine = g.engine
	ended := make(chan error, 1)
	go func() { ended <- l.run() }()
	// More calls than one turn runs, from several goroutines, in order for each.
	const each = 10 * maxCalls
	counts := make([]int, 4)
	done := make(chan int)
	for i := range counts {
		go func() {
			for n := range each {
				l.post(func(time.Time) {
					if counts[i] != n {
						t.Errorf("call %d came as number %d", n, counts[i])
					}
					counts[i]++
					if counts[i] == each {
						go func() { done <- i }()
					}
				})
			}
		}()
	}
	for range counts {
		<-done
	}
	l.post(l.engine.stop)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if l.post(func(time.Time) { t.Error("called after the end") }) {
		t.Error("a call was accepted after the end")
	}
}

// TestLeftCalls checks that a call that may wait does not wake the loop, but runs before the timers of the next turn, and that
// one that may not wait wakes it nevertheless.
func TestLeftCalls(t *testing.T) {
	g := newRig(t)
	l, _ := countedLoop(t, g)
	woken := func() bool {
		t.Helper()
		fds := []unix.PollFd{{Fd: int32(l.poller.wakeup), Events: unix.POLLIN}}
		if _, err := unix.Poll(fds, 0); err != nil {
			t.Fatal(err)
		}
		return fds[0].Revents != 0
	}
	var order []string
	note := func(name string) func(time.Time) { return func(time.Time) { order = append(order, name) } }
	for range 2 {
		order = nil
		l.leave(note("left"))
		if woken() {
			t.Error("the loop is woken")
		}
		l.post(note("posted"))
		if !woken() {
			t.Error("the loop is not woken")
		}
		l.engine.timers.set(&timer{fire: note("timer")}, g.now)
		if err := l.turn(); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(order, " "); got != "left posted timer" {
			t.Errorf("order: %s", got)
		}
	}
}

// TestCallsOfABusyLoop checks that calls wait while many timers are due, but not for long, and that they then need no other event.
func TestCallsOfABusyLoop(t *testing.T) {
	g := newRig(t)
	l, _ := countedLoop(t, g)
	called := 0
	turn := func(due int) {
		t.Helper()
		for range due {
			l.engine.timers.set(&timer{fire: func(time.Time) {}}, g.now)
		}
		if err := l.turn(); err != nil {
			t.Fatal(err)
		}
	}
	turn(manyFired)
	l.post(func(time.Time) { called++ })
	turn(manyFired)
	if called != 0 {
		t.Error("called while timers are due")
	}
	turn(0)
	turn(0)
	if called != 1 {
		t.Errorf("called %d times after the timers, want once", called)
	}
	turn(manyFired)
	l.post(func(time.Time) { called++ })
	for range 10 {
		g.now = g.now.Add(callPatience / 9)
		turn(manyFired)
	}
	if called != 2 {
		t.Error("not called for longer than callPatience")
	}
}
