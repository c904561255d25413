package supervisor

import (
	"fmt"
	"math"
	"os"
	"runtime"
	"strconv"
	"syscall"

	"github.com/lvs-ha/lvs-ha/internal/capability"
	"golang.org/x/sys/unix"
)

// confinedEnv contains the id of the process that has confined itself.
const confinedEnv = "LVS_HA_CONFINED"

// Confine permanently drops everything that `lvs-ha run` and its workers do not need: capabilities, the right to gain
// any by executing a program, and descriptors other than the standard ones. Since capabilities belong to threads, it
// executes this program again from a restricted thread, with the same arguments and process id. It returns nil in the
// confined process.
//
// extra is kept too, for root's scripts. It is an error if this process lacks any of it by name.
func Confine(extra Capabilities) error {
	nameProcess()
	if os.Getenv(confinedEnv) == strconv.Itoa(os.Getpid()) {
		return os.Unsetenv(confinedEnv)
	}
	if extra != capability.All {
		has, err := permitted()
		if err != nil {
			return err
		}
		if lacks := extra &^ has; lacks != 0 {
			return fmt.Errorf("lvs-ha lacks %s, which --script-capabilities names: add it to CapabilityBoundingSet= in the systemd unit", lacks)
		}
	}
	if err := closeOnExec(3); err != nil {
		return err
	}
	runtime.LockOSThread() // never unlocked: if this fails, the process must end
	if err := restrictThread(ParentCapabilities | extra); err != nil {
		return err
	}
	environment := append(os.Environ(), fmt.Sprintf("%s=%d", confinedEnv, os.Getpid()))
	err := syscall.Exec(ownProgram, os.Args, environment)
	return fmt.Errorf("executing this program again with fewer privileges: %w", err)
}

// closeOnExec marks all descriptors from first on.
func closeOnExec(first uint) error {
	err := unix.CloseRange(first, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC) // Linux 5.11
	if err == nil {
		return nil
	}
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return fmt.Errorf("listing inherited descriptors: %w", err)
	}
	for _, f := range files {
		if fd, err := strconv.Atoi(f.Name()); err == nil && fd >= int(first) {
			syscall.CloseOnExec(fd)
		}
	}
	return nil
}
