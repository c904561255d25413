package speaker

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"

	"golang.org/x/sys/unix"
)

// Real-time priorities under SCHED_FIFO: low, so that the kernel's own threads come first, and the loop above the
// process's other threads.
const (
	processPriority = 9
	loopPriority    = 10
)

const (
	// minProcs keeps a processor of the Go scheduler free for the loop when it comes out of the kernel, also where
	// the machine has one CPU: the kernel then decides between threads, by their priority.
	minProcs = 4

	gcPercent   = 400      // of a live heap of about 2 MB: few collections, and small
	memoryLimit = 64 << 20 // bytes; from here on, collect as needed

	// runawayLimit in microseconds ends a thread that computes for so long without a pause: with real-time priority it
	// would take the machine with it. The parent starts another speaker, which adopts the addresses.
	runawayLimit = 2_000_000
)

// prepareProcess gives the process what keeps adverts on time on a busy machine. What is not permitted is warned of,
// once, with its mend.
func prepareProcess(log *slog.Logger) {
	debug.SetGCPercent(gcPercent)
	debug.SetMemoryLimit(memoryLimit)
	if runtime.GOMAXPROCS(0) < minProcs {
		runtime.GOMAXPROCS(minProcs)
	}
	limit := unix.Rlimit{Cur: runawayLimit, Max: runawayLimit}
	if err := unix.Setrlimit(unix.RLIMIT_RTTIME, &limit); err != nil {
		log.Debug("no limit for runaway threads", "error", err)
	}
	if err := allThreads(processPriority); err != nil {
		log.Warn("no real-time priority: adverts may be late when the CPU is busy; give the process CAP_SYS_NICE, or LimitRTPRIO=10 in its unit",
			"error", err)
	}
	if err := lockMemory(); err != nil {
		log.Warn("memory not locked: adverts may be late when memory is short; give the process CAP_IPC_LOCK, or LimitMEMLOCK=infinity in its unit",
			"error", err)
	}
}

// prepareLoopThread puts the calling thread, which runs the loop, above the others.
func prepareLoopThread(log *slog.Logger) {
	if err := fifo(unix.Gettid(), loopPriority); err != nil {
		log.Debug("no real-time priority for the loop", "error", err)
	}
}

// allThreads gives each thread of the process a priority. A thread made meanwhile may have the old one: look again
// until none is new. Later threads inherit it.
func allThreads(priority uint32) error {
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
			if err := fifo(tid, priority); err != nil && !errors.Is(err, unix.ESRCH) {
				return err
			}
		}
	}
	return nil
}

func fifo(tid int, priority uint32) error {
	if err := unix.SchedSetAttr(tid, &unix.SchedAttr{Policy: unix.SCHED_FIFO, Priority: priority}, 0); err != nil {
		return fmt.Errorf("set SCHED_FIFO priority %d: %w", priority, err)
	}
	return nil
}

// lockMemory keeps every page that is used in memory. A limit that is not infinite would make the Go runtime's later
// reservations of address space fail, although they lock nothing.
func lockMemory() error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &limit); err != nil {
		return fmt.Errorf("read RLIMIT_MEMLOCK: %w", err)
	}
	if limit.Cur != unix.RLIM_INFINITY && !hasCapability(unix.CAP_IPC_LOCK) {
		return fmt.Errorf("locked memory is limited to %d bytes", limit.Cur)
	}
	if err := unix.Mlockall(unix.MCL_CURRENT | unix.MCL_FUTURE | unix.MCL_ONFAULT); err != nil {
		return fmt.Errorf("lock memory: %w", err)
	}
	return nil
}

// hasCapability says whether the process has a capability in effect.
func hasCapability(number int) bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return false
	}
	return data[number/32].Effective&(1<<(number%32)) != 0
}
