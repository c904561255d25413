package speaker

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// schedClass is how the kernel schedules the speaker's threads.
type schedClass int

// The zero value is none: nothing was set yet.
const (
	// classRealTime is SCHED_FIFO: the loop runs before everything else on the host except the kernel's own threads.
	classRealTime schedClass = iota + 1

	// classNice is SCHED_OTHER with the best nice value. With one CPU a SCHED_FIFO thread of a Go process may spin in the
	// runtime waiting for another thread of the process (casgstatus waits for the holder of the goroutine's scan bit),
	// which the kernel then never runs, until RLIMIT_RTTIME ends the process. With SCHED_OTHER no thread starves another.
	classNice
)

func (c schedClass) String() string {
	switch c {
	case classRealTime:
		return "SCHED_FIFO"
	case classNice:
		return "SCHED_OTHER"
	}
	return "unset"
}

const (
	// SCHED_FIFO priorities. They are below those of the kernel's own threads; the loop's is above those of the process's
	// other threads.
	processPriority = 9
	loopPriority    = 10

	niceBest = -20

	// niceOthers is for the threads other than the loop's in classNice. With niceBest, a thread that works for long leaves a
	// hundredth of the CPU to those of nice 0, and among them is the kernel's own that receives packets when the CPU is busy.
	niceOthers = -10

	// sliceNanos is the requested time slice in nanoseconds: since Linux 6.12 a thread with a short slice preempts threads
	// with longer ones when it wakes. Older kernels ignore it.
	sliceNanos = 100_000
)

// classFor returns the class for the number of CPUs that the process may run on.
func classFor(cpus int) schedClass {
	if cpus < 2 {
		return classNice
	}
	return classRealTime
}

// priority keeps the threads of this process in the class that suits its CPUs.
type priority struct {
	log  *slog.Logger
	loop atomic.Int64 // thread id of the loop; zero: not running

	real atomic.Bool // current is classRealTime: the loop asks, and must not wait for mu

	mu       sync.Mutex
	current  schedClass
	withheld bool // real-time priority is not permitted and not tried again
	again    int  // how often the class is still to be set again
}

// setAgain is how often the class is set again after a change: a thread that is being created meanwhile has the old class and
// may appear only after the threads were listed.
const setAgain = 3

// apply sets the class of all threads for the current number of CPUs, if it differs. It is called every second, because an
// administrator may change the CPU affinity of the process.
func (p *priority) apply() {
	p.mu.Lock()
	defer p.mu.Unlock()
	cpus := allowedCPUs()
	class := classFor(cpus)
	if p.withheld {
		class = classNice
	}
	if class == p.current {
		if p.again > 0 {
			p.again--
			_ = p.set(class) // has succeeded before
		}
		return
	}
	p.again = setAgain
	err := p.set(class)
	if err != nil && class == classRealTime {
		p.withheld, class = true, classNice
		if p.set(class) == nil {
			p.log.Warn("no real-time priority: adverts may be late when the CPU is busy; give the process CAP_SYS_NICE, or LimitRTPRIO=10 in its unit",
				"error", err)
			err = nil
		}
	}
	if err != nil {
		p.log.Warn("no raised priority: adverts are late when the CPU is busy; give the process CAP_SYS_NICE, or LimitRTPRIO=10 and LimitNICE=-20 in its unit",
			"error", err)
	}
	p.current = class
	p.real.Store(class == classRealTime)
	p.log.Info("scheduling class chosen", "class", class.String(), "cpus", cpus)
}

// realTime reports whether the class is classRealTime. It does not block.
func (p *priority) realTime() bool { return p.real.Load() }

// aside runs f without real-time priority: the threads of a collection wait for each other, and with SCHED_FIFO two processes can keep
// each other's from running, until RLIMIT_RTTIME ends them.
func (p *priority) aside(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.current != classRealTime {
		f()
		return
	}
	defer func() {
		p.again = setAgain
		_ = p.set(classRealTime) // has succeeded before, and apply repeats it
	}()
	if err := p.set(classNice); err != nil {
		p.log.Debug("real-time priority kept", "error", err)
	}
	f()
}

// enterLoop records that the calling thread runs the loop.
func (p *priority) enterLoop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	tid := unix.Gettid()
	p.loop.Store(int64(tid))
	if err := p.setThread(tid, p.current); err != nil {
		p.log.Debug("no priority for the loop", "error", err)
	}
}

// set sets the class of each thread of the process. Threads created meanwhile may have the old class, so it repeats until
// there are no new ones, and apply repeats it. Later threads inherit the class.
func (p *priority) set(class schedClass) error {
	seen := map[int]bool{}
	for found := true; found; {
		found = false
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return fmt.Errorf("list threads: %w", err)
		}
		for _, t := range tasks {
			tid, err := strconv.Atoi(t.Name())
			if err != nil || seen[tid] {
				continue
			}
			seen[tid], found = true, true
			if err := p.setThread(tid, class); err != nil && !errors.Is(err, unix.ESRCH) {
				return err
			}
		}
	}
	return nil
}

func (p *priority) setThread(tid int, class schedClass) error {
	attr := unix.SchedAttr{Policy: unix.SCHED_NORMAL, Nice: niceOthers, Runtime: sliceNanos}
	loop := int64(tid) == p.loop.Load()
	switch {
	case class == classRealTime && loop:
		attr = unix.SchedAttr{Policy: unix.SCHED_FIFO, Priority: loopPriority}
	case class == classRealTime:
		attr = unix.SchedAttr{Policy: unix.SCHED_FIFO, Priority: processPriority}
	case loop:
		attr.Nice = niceBest
	}
	if err := unix.SchedSetAttr(tid, &attr, 0); err != nil {
		return fmt.Errorf("set %s: %w", class, err)
	}
	return nil
}

// allowedCPUs returns the number of CPUs that the process may run on: the affinity of its first thread, which is also
// limited by cpusets.
func allowedCPUs() int {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(os.Getpid(), &set); err != nil {
		return 1
	}
	return set.Count()
}

// sleepExactly sleeps for a time too short for time.Sleep, which in an otherwise idle process takes a millisecond at least.
func sleepExactly(d time.Duration) {
	t := unix.NsecToTimespec(d.Nanoseconds())
	_ = unix.Nanosleep(&t, nil)
}
