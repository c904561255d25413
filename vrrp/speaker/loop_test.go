package speaker

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestTimers(t *testing.T) {
	var ts timers
	var fired []int
	zero := time.Now()
	at := func(i int) time.Time { return zero.Add(time.Duration(i) * time.Second) }
	all := make([]*timer, 100)
	for i := range all {
		all[i] = &timer{fire: func(time.Time) { fired = append(fired, i) }}
	}
	for _, i := range rand.Perm(len(all)) {
		ts.set(all[i], at(rand.IntN(1000)))
	}
	for _, i := range rand.Perm(len(all)) {
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

// TestTimersEnd has a timer that sets itself for the same moment.
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
	// An earlier deadline takes the place of a later one; without one only a call wakes.
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
	go func() {
		<-time.After(30 * time.Millisecond)
		p.wake()
	}()
	if took := wait(time.Time{}); took < 20*time.Millisecond {
		t.Errorf("a timer that had fired woke it again after %s", took)
	}
}

func TestLoopCalls(t *testing.T) {
	p, err := newPoller()
	if err != nil {
		t.Fatal(err)
	}
	l := &loop{poller: p, receiver: newReceiver()}
	g := newRig(t)
	l.engine = g.engine
	ended := make(chan error, 1)
	go func() { ended <- l.run() }()
	// More calls than one turn takes, from several goroutines, in order for each.
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
