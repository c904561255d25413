package speaker

import (
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// TestArrival converts time stamps of packets, also while the wall clock is set. A packet is never taken for one that
// arrived before the queue was last empty, or later than now.
func TestArrival(t *testing.T) {
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		step   time.Duration // of the wall clock
		asleep time.Duration // before the step, and again after it
		age    time.Duration // of a packet, which has the time stamp of its arrival
		want   time.Duration
	}{
		"new":                                {0, 0, 0, 0},
		"new after a wait":                   {0, 10 * time.Second, time.Millisecond, time.Millisecond},
		"old after a stall":                  {0, 5 * time.Second, 8 * time.Second, 8 * time.Second},
		"older than the queue":               {0, time.Second, 10 * time.Second, 2 * time.Second},
		"set forward, then received":         {day, time.Second, 500 * time.Millisecond, 500 * time.Millisecond},
		"set forward, received before":       {day, time.Second, 1500 * time.Millisecond, 1500 * time.Millisecond},
		"set back, then received":            {-day, time.Second, 500 * time.Millisecond, 500 * time.Millisecond},
		"set back, received before":          {-day, time.Second, 1500 * time.Millisecond, 1500 * time.Millisecond},
		"set back shortly before reading":    {-day, 400 * time.Millisecond, 100 * time.Millisecond, 100 * time.Millisecond},
		"set forward, received in between":   {day, 400 * time.Millisecond, 500 * time.Millisecond, 500 * time.Millisecond},
		"set a little forward":               {300 * time.Millisecond, time.Second, 1500 * time.Millisecond, 1500 * time.Millisecond},
		"set a little back, taken for newer": {-300 * time.Millisecond, time.Second, 1500 * time.Millisecond, 1200 * time.Millisecond},
		"set a little back, then received":   {-300 * time.Millisecond, time.Second, 500 * time.Millisecond, 500 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				step := time.Duration(0)
				wall := func(at time.Time) int64 { return at.Add(step).UnixNano() }
				c0 := newClock()
				c0.read = func() reading { now := time.Now(); return reading{now, wall(now), 0} }
				empty := c0.now()
				<-time.After(c.asleep)
				before := wall(time.Now())
				set := time.Now()
				step = c.step
				<-time.After(c.asleep)
				arrived := time.Now().Add(-c.age)
				stamp := wall(arrived)
				if arrived.Before(set) {
					stamp = before - int64(set.Sub(arrived))
				}
				now := c0.now()
				if got := now.Sub(c0.arrival(stamp, empty, now)); got != c.want {
					t.Errorf("counts as %v old, want %v", got, c.want)
				}
			})
		})
	}
}

// stampedLoop is a loop with a socket whose packets have the kernel's time stamps.
func stampedLoop(t *testing.T) (l *loop, s *socket, send func(packets int)) {
	t.Helper()
	l, _, _ = floodedLoop(t, 0)
	w, send := l.addWire(t, "eth1")
	if err := unix.SetsockoptInt(w.socket.fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1); err != nil {
		t.Fatal(err)
	}
	c := newClock()
	l.now, l.arrival = c.now, c.arrival
	return l, w.socket, send
}

// TestArrivalOfPackets checks the time stamps of packets that were queued for longer than staleAge.
func TestArrivalOfPackets(t *testing.T) {
	l, s, send := stampedLoop(t)
	var all []time.Time
	arrival := l.arrival
	l.arrival = func(stamp int64, after, now time.Time) time.Time {
		all = append(all, arrival(stamp, after, now))
		return all[len(all)-1]
	}
	late := func(sent time.Time) func(time.Time) bool {
		return func(at time.Time) bool { return at.After(sent.Add(staleAge)) }
	}
	var began, sent time.Time
	// Until it has enabled time stamps, which takes it some milliseconds, the kernel stamps packets when they are read.
	for n := 0; n == 0 || n < 100 && slices.ContainsFunc(all, late(sent)); n++ {
		all, began = nil, time.Now()
		send(2)
		sent = time.Now()
		<-time.After(2 * staleAge)
		l.drainSocket(s)
	}
	if len(all) != 2 || slices.ContainsFunc(all, func(at time.Time) bool { return at.Before(began.Add(-clockError)) || late(sent)(at) }) {
		t.Errorf("sent between %v and %v, received at %v", began, sent, all)
	}
}

// TestArrivalAfterOverflow checks that packets count as new if newer ones may have been dropped.
func TestArrivalAfterOverflow(t *testing.T) {
	l, s, send := stampedLoop(t)
	if err := unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 0); err != nil {
		t.Fatal(err)
	}
	now := l.now()
	age := func() time.Duration {
		return now.Sub(l.arrived(s, now.Add(-time.Second).UnixNano(), now)).Round(time.Millisecond)
	}
	send(1)
	if got := age(); got != time.Second {
		t.Errorf("without an overflow %v old", got)
	}
	send(100)
	if got := age(); got != time.Second {
		t.Errorf("the queue was checked twice: %v old", got)
	}
	s.queue.empty(time.Time{})
	for range 2 {
		if got := age(); got != 0 {
			t.Errorf("after an overflow %v old", got)
		}
	}
	s.queue.empty(time.Time{})
	if got := age(); got != time.Second {
		t.Errorf("long after an overflow %v old", got)
	}
}

// TestHostStaleAdvert stops a backup's process before the master's last advert arrives, for longer than the backup waits
// for another. It must take over when it continues.
func TestHostStaleAdvert(t *testing.T) {
	n := newLAN(t)
	b := newStation(t, n.b)
	const interval = 300 * time.Millisecond
	for _, family := range []vrrp.Family{vrrp.IPv4, vrrp.IPv6} {
		in := instance(3, family, 100, interval)
		in.Name = family.String()
		master := in
		master.Priority = 200
		b.want(in)
		b.awaitState(in.Name, vrrp.Backup)
		sendAdvert(t, n.observer, master, 255, nil)
		b.await(in.Name, "a backup of the master", func(s vrrp.Status) bool { return s.MasterPriority == 200 })
		if err := b.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		sendAdvert(t, n.observer, master, 255, nil)
		down := vrrp.MasterDownInterval(3, in.Priority, interval)
		<-time.After(down)
		mark, woken := n.capture.mark(), time.Now()
		if err := b.cmd.Process.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		first := n.capture.await(t, mark, "an advert", func(s seen) bool { return s.advert != nil && s.advert.Priority == in.Priority })
		if late := first.at.Sub(woken); late > down/2 {
			t.Errorf("%s: took over %s after the process continued", family, late)
		}
	}
}
