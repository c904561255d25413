// Command witness monitors the machine that it runs on for the lab outside, every few milliseconds and at low cost, since a
// director machine has one CPU. It prints one line for each observation:
//
//	NANOSECONDS alive                                        several at the start, then four a second
//	NANOSECONDS stall LENGTH                                 nothing ran on the CPU for LENGTH, until NANOSECONDS
//	NANOSECONDS state HELD SERVICES SERVERS IP_FORWARD       when one of them changed; HELD has a 0 or 1 for each address
//	NANOSECONDS api TOOK ok|no                               the result of a status request
//
// The first number is the monotonic clock, since the lab changes the wall clock.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	calibration = 20 // lines at the start, from which the lab computes the clock's offset
	alivePause  = 250 * time.Millisecond
)

func main() {
	stalls := flag.Int("stalls", -1, "watch for stalls of this `CPU`")
	least := flag.Duration("least", time.Millisecond, "how long a stall must be, and how often to look")
	state := flag.Bool("state", false, "watch addresses, table and ip_forward; the addresses are the arguments")
	api := flag.String("api", "", "request the status from this `socket`")
	flag.Parse()
	// Memory use is small and bounded; a garbage collection would be a pause.
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(32 << 20)
	out := &printer{w: bufio.NewWriter(os.Stdout)}
	for range calibration {
		out.print("alive")
		_ = sleep(time.Millisecond)
	}
	if *api != "" {
		go watchAPI(*api, out)
	}
	var err error
	switch {
	case *stalls >= 0:
		err = watchStalls(*stalls, *least, out)
	case *state:
		var addresses []netip.Addr
		for _, a := range flag.Args() {
			addresses = append(addresses, netip.MustParseAddr(a))
		}
		err = watchState(addresses, out)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "witness:", err)
		os.Exit(1)
	}
}

// printer writes lines with a time.
type printer struct {
	mu sync.Mutex
	w  *bufio.Writer
}

func (p *printer) print(text string) { p.printAt(now(), text) }

func (p *printer) printAt(at time.Duration, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, _ = p.w.WriteString(strconv.FormatInt(int64(at), 10) + " " + text + "\n")
	if p.w.Flush() != nil {
		os.Exit(0) // the reader is gone
	}
}

// now returns the monotonic clock.
func now() time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return time.Duration(ts.Nano())
}

func sleep(d time.Duration) error {
	ts := unix.NsecToTimespec(int64(d))
	return unix.Nanosleep(&ts, nil)
}

// watchStalls runs on one CPU, at higher priority than everything else there, and reports late wake-ups: the machine, or the
// host that it runs on, was stalled.
func watchStalls(cpu int, least time.Duration, out *printer) error {
	runtime.LockOSThread()
	var set unix.CPUSet
	set.Set(cpu)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("pin to CPU %d: %w", cpu, err)
	}
	attr := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 90}
	if err := unix.SchedSetAttr(0, &attr, 0); err != nil {
		return fmt.Errorf("get real-time priority: %w", err)
	}
	last := now()
	alive := last
	ts := unix.NsecToTimespec(int64(least))
	for {
		// Bypass the Go scheduler: its helper threads have no real-time priority, and waiting for them would look like a stall.
		_, _, _ = unix.RawSyscall(unix.SYS_NANOSLEEP, uintptr(ptr(&ts)), 0, 0)
		t := now()
		late := t - last - least
		last = t // reading the clock once more would be a third system call, each 13 µs in a test kernel
		if late >= least {
			out.printAt(t, "stall "+strconv.FormatInt(int64(late), 10))
			last = now()
		}
		if t-alive >= alivePause {
			alive = t
			out.printAt(t, "alive")
			last = now()
		}
	}
}
