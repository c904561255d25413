package speaker

import (
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"

	"golang.org/x/sys/unix"
)

const (
	// minProcs keeps a processor of the Go scheduler free for the loop when it comes out of the kernel, also where
	// the machine has one CPU: the kernel then decides between threads.
	minProcs = 4

	gcPercent   = 400      // of a live heap of about 2 MB: few collections, and small
	memoryLimit = 64 << 20 // bytes; from here on, collect as needed

	// runawayLimit in microseconds ends a thread that computes for so long with real-time priority without a pause: it
	// would take the machine with it. The parent starts another speaker, which adopts the addresses.
	runawayLimit = 2_000_000
)

// prepareProcess gives the process what keeps adverts on time and costs others nothing: a spare does it while it waits.
// What is not permitted is logged with what to do.
func prepareProcess(log *slog.Logger) {
	debug.SetGCPercent(gcPercent)
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
