package speaker

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// clock reads the time with one system call on kernels without a vDSO, such as user-mode Linux, where time.Now makes two.
// It converts the kernel's time stamps of packets.
type clock struct {
	read         func() reading
	base, former reading
	last         time.Time // the last reading
}

// reading is a reading of all clocks at one time.
type reading struct {
	at         time.Time
	wall, boot int64 // CLOCK_REALTIME and CLOCK_BOOTTIME in nanoseconds
}

const (
	// clockRefresh is how often the wall clock and boot time are read: the wall clock may be set, and boot time advances
	// while the machine is suspended.
	clockRefresh = time.Second

	// clockError is the maximum error of a converted time stamp when the wall clock has not been set: in clockRefresh, it
	// can be slewed by 0.5 ms (adjtimex(2)).
	clockError = time.Millisecond
)

func readClocks() reading {
	now := time.Now()
	return reading{now, now.UnixNano(), bootTime()}
}

func newClock() *clock {
	c := &clock{read: readClocks}
	c.refresh()
	c.former = c.base
	return c
}

func (c *clock) refresh() {
	c.former, c.base = c.base, c.read()
	c.last = c.base.at
}

func (c *clock) now() time.Time {
	if passed := time.Since(c.base.at); passed < clockRefresh {
		c.last = c.base.at.Add(passed)
	} else {
		c.refresh()
	}
	return c.last
}

// bootTime returns the boot time at the last reading.
func (c *clock) bootTime() int64 { return c.base.boot + int64(c.last.Sub(c.base.at)) }

// arrival returns when the kernel received a packet, from its time stamp, which is of the wall clock. The result is between
// after, a time before it was received, and now. If the wall clock has been set meanwhile, the latest possible time is
// returned: that an advert is older than it is would be mistaken for a silent master.
func (c *clock) arrival(stamp int64, after, now time.Time) time.Time {
	at := c.convert(stamp, now)
	if at.Before(after.Add(-clockError)) && now.Sub(c.base.at) > clockError {
		c.refresh()
		at = c.convert(stamp, now)
	}
	switch {
	case at.IsZero() || at.After(now):
		return now
	case at.Before(after):
		return after
	}
	return at
}

// convert returns the latest time until now that a time stamp may stand for, or zero if there is none.
func (c *clock) convert(stamp int64, now time.Time) (at time.Time) {
	for _, r := range [...]*reading{&c.base, &c.former} {
		t := r.at.Add(time.Duration(stamp - r.wall))
		if t.After(at) && t.Sub(now) <= clockError {
			at = t
		}
	}
	return at
}

// origin converts a time to the kernel's CLOCK_MONOTONIC.
type origin struct {
	at    time.Time
	nanos int64 // CLOCK_MONOTONIC then
}

// newOrigin reads both clocks several times and uses the pair that was read fastest, because the process may be preempted
// between the two readings.
func newOrigin() (o origin) {
	const attempts = 10
	best := int64(-1)
	for range attempts {
		before := readClock(unix.CLOCK_MONOTONIC)
		at := time.Now()
		nanos := readClock(unix.CLOCK_MONOTONIC)
		if took := nanos - before; best < 0 || took < best {
			best, o = took, origin{at, nanos}
		}
	}
	return o
}

func (o origin) monotonic(t time.Time) int64 { return o.nanos + int64(t.Sub(o.at)) }

// bootTime returns CLOCK_BOOTTIME in nanoseconds.
func bootTime() int64 { return readClock(unix.CLOCK_BOOTTIME) }

// readClock reads a clock, bypassing the Go scheduler because the call does not block. Every supported kernel has the
// clocks that it is called for.
func readClock(id uintptr) int64 {
	var ts unix.Timespec
	if _, _, errno := unix.RawSyscall(unix.SYS_CLOCK_GETTIME, id, uintptr(unsafe.Pointer(&ts)), 0); errno != 0 {
		return 1<<63 - 1 // later than the end of any tenure
	}
	return ts.Nano()
}
