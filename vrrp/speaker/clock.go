package speaker

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// clock reads the time with one system call on kernels without a vDSO, such as user-mode Linux, where time.Now makes two.
type clock struct {
	base time.Time
	boot int64     // boot time at base
	last time.Time // the last reading
}

// clockRefresh is how often the wall clock and boot time are read: the wall clock may be set, and boot time advances
// while the machine is suspended.
const clockRefresh = time.Second

func newClock() *clock {
	c := &clock{}
	c.refresh()
	return c
}

func (c *clock) refresh() {
	c.base, c.boot = time.Now(), bootTime()
	c.last = c.base
}

func (c *clock) now() time.Time {
	if passed := time.Since(c.base); passed < clockRefresh {
		c.last = c.base.Add(passed)
	} else {
		c.refresh()
	}
	return c.last
}

// bootTime returns the boot time at the last reading.
func (c *clock) bootTime() int64 { return c.boot + int64(c.last.Sub(c.base)) }

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
