package speaker

import (
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"

	"golang.org/x/sys/unix"
)

const (
	// minProcs keeps a P of the Go scheduler free for the loop when it returns from the kernel, even on a host with one
	// CPU, where the kernel then schedules the threads.
	minProcs = 4

	// runawayLimit in microseconds is the limit for a thread with real-time priority that runs without blocking: it would
	// lock up the host. The kernel kills the process, and the parent starts another speaker, which adopts the addresses.
	runawayLimit = 2_000_000
)

// prepareProcess applies the settings that keep adverts on time and do not affect other processes, so that a spare can apply
// them while it waits. It logs settings that are not permitted, with the remedy.
func prepareProcess(log *slog.Logger) {
	debug.SetGCPercent(-1) // see memory
	debug.SetMemoryLimit(memoryLimit)
	if runtime.GOMAXPROCS(0) < minProcs {
		runtime.GOMAXPROCS(minProcs)
	}
	limit := unix.Rlimit{Cur: runawayLimit, Max: runawayLimit}
	if err := unix.Setrlimit(unix.RLIMIT_RTTIME, &limit); err != nil {
		log.Debug("RLIMIT_RTTIME not set", "error", err)
	}
	if err := lockMemory(); err != nil {
		log.Warn("memory not locked: adverts may be late when memory is low; give the process CAP_IPC_LOCK, or LimitMEMLOCK=infinity in its unit",
			"error", err)
	}
}

// lockMemory locks all used pages in memory. With a finite limit, the Go runtime's later reservations of address space
// would fail, although they lock nothing.
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

// hasCapability reports whether a capability is in the effective set of the process.
func hasCapability(number int) bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return false
	}
	return data[number/32].Effective&(1<<(number%32)) != 0
}
