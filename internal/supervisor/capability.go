package supervisor

import (
	"fmt"
	"math/bits"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Capabilities is a set of Linux capabilities as a bit mask, in the format of /proc/PID/status.
type Capabilities uint64

// The capabilities of each process. The parent itself uses none, but can give its workers only capabilities that it has.
const (
	SpeakerCapabilities Capabilities = 1<<unix.CAP_NET_ADMIN | 1<<unix.CAP_NET_RAW | 1<<unix.CAP_SYS_NICE | 1<<unix.CAP_IPC_LOCK
	// DAC_READ_SEARCH is for configurations and keys of other users.
	DirectorCapabilities Capabilities = 1<<unix.CAP_NET_ADMIN | 1<<unix.CAP_DAC_READ_SEARCH
	ParentCapabilities                = SpeakerCapabilities | DirectorCapabilities
)

var capabilityNames = map[int]string{
	unix.CAP_NET_ADMIN: "CAP_NET_ADMIN", unix.CAP_NET_RAW: "CAP_NET_RAW", unix.CAP_SYS_NICE: "CAP_SYS_NICE",
	unix.CAP_IPC_LOCK: "CAP_IPC_LOCK", unix.CAP_DAC_READ_SEARCH: "CAP_DAC_READ_SEARCH",
}

// Has reports whether the set contains a capability.
func (c Capabilities) Has(number int) bool { return c&(1<<number) != 0 }

func (c Capabilities) String() string {
	var names []string
	for rest := uint64(c); rest != 0; rest &= rest - 1 {
		number := bits.TrailingZeros64(rest)
		name, known := capabilityNames[number]
		if !known {
			name = fmt.Sprintf("capability %d", number)
		}
		names = append(names, name)
	}
	return strings.Join(names, " ")
}

// permitted returns the calling thread's permitted capabilities.
func permitted() (Capabilities, error) {
	var data [2]unix.CapUserData
	if err := unix.Capget(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &data[0]); err != nil {
		return 0, fmt.Errorf("reading the capabilities of this process: %w", err)
	}
	return Capabilities(data[0].Permitted) | Capabilities(data[1].Permitted)<<32, nil
}

// secureNoRoot is SECBIT_NOROOT: user 0 gets no capabilities by executing a program (capabilities(7)).
const secureNoRoot = 1

// restrictThread permanently removes all capabilities except the given ones from the calling thread and the programs
// that it executes. It adds none. The thread must be locked to its goroutine, and end with it.
func restrictThread(keep Capabilities) error {
	fail := func(err error) error { return fmt.Errorf("dropping capabilities: %w", err) }
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fail(err)
	}
	old, err := permitted()
	if err != nil {
		return err
	}
	keep &= old
	for number := 0; number <= unix.CAP_LAST_CAP; number++ {
		if !keep.Has(number) {
			// Without CAP_SETPCAP the bounding set is kept: no_new_privs already has the same effect.
			_ = unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(number), 0, 0, 0)
		}
	}
	secure, err := unix.PrctlRetInt(unix.PR_GET_SECUREBITS, 0, 0, 0, 0)
	if err != nil {
		return fail(err)
	}
	byAmbient := os.Geteuid() != 0 || secure&secureNoRoot != 0
	if err := setCapabilities(keep, byAmbient); err != nil {
		return fail(err)
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fail(err)
	}
	for rest := uint64(keep); byAmbient && rest != 0; rest &= rest - 1 {
		// SECBIT_NO_CAP_AMBIENT_RAISE forbids it; a program file with its own capabilities works without.
		_ = unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, uintptr(bits.TrailingZeros64(rest)), 0, 0)
	}
	return nil
}

func setCapabilities(set Capabilities, inheritable bool) error {
	var data [2]unix.CapUserData
	for i := range data {
		part := uint32(set >> (32 * i))
		data[i] = unix.CapUserData{Effective: part, Permitted: part}
		if inheritable {
			data[i].Inheritable = part
		}
	}
	return unix.Capset(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &data[0])
}
