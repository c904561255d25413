package speaker

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// clock reads the time with one system call where the kernel has no vDSO, as user-mode Linux: time.Now makes two.
type clock struct {
	base time.Time
	boot int64     // boot time at base
	last time.Time // the last reading
}

// clockRefresh is how often wall clock and boot time are read again: the wall clock may be set, and boot time goes on
// while the machine sleeps.
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

// bootTime is the boot time of the last reading.
func (c *clock) bootTime() int64 { return c.boot + int64(c.last.Sub(c.base)) }

// origin converts a time to the kernel's CLOCK_MONOTONIC.
type origin struct {
	at    time.Time
	nanos int64 // CLOCK_MONOTONIC then
}

// newOrigin reads both clocks a few times and takes the pair that was read the fastest: the process may be stopped in between.
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

// bootTime is CLOCK_BOOTTIME in nanoseconds.
func bootTime() int64 { return readClock(unix.CLOCK_BOOTTIME) }

// readClock reads a clock without the Go scheduler's knowledge: it does not wait. The kernel has all clocks that are asked for.
func readClock(id uintptr) int64 {
	var ts unix.Timespec
	if _, _, errno := unix.RawSyscall(unix.SYS_CLOCK_GETTIME, id, uintptr(unsafe.Pointer(&ts)), 0); errno != 0 {
		return 1<<63 - 1 // no tenure lasts until then
	}
	return ts.Nano()
}
