// Package capability reads and sets Linux capabilities (capabilities(7)), which are an attribute of threads.
package capability

import (
	"fmt"
	"math/bits"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Set is a set of capabilities as a bit mask in the format of /proc/PID/status.
type Set uint64

// All is the set of all capabilities, including those of later kernels.
const All = ^Set(0)

// Of returns the set of the capabilities with the given numbers.
func Of(numbers ...int) Set {
	var s Set
	for _, number := range numbers {
		s |= 1 << number
	}
	return s
}

// names are the names by number (include/uapi/linux/capability.h).
var names = [unix.CAP_LAST_CAP + 1]string{
	"CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP", "LINUX_IMMUTABLE",
	"NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO",
	"SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME",
	"SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG",
	"WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF", "CHECKPOINT_RESTORE",
}

// Parse parses a list of names, with or without CAP_, separated by commas or spaces; "all" means all capabilities.
func Parse(list string) (Set, error) {
	var s Set
	for _, word := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' }) {
		name := strings.TrimPrefix(strings.ToUpper(word), "CAP_")
		number := slices.Index(names[:], name)
		switch {
		case name == "ALL":
			return All, nil
		case number < 0:
			return 0, fmt.Errorf("%q is not a capability: use names of capabilities(7) such as CAP_NET_RAW, or all", word)
		}
		s |= Of(number)
	}
	return s, nil
}

// Has reports whether a capability is in the set.
func (s Set) Has(number int) bool { return s&Of(number) != 0 }

func (s Set) String() string {
	var words []string
	for rest := uint64(s); rest != 0; rest &= rest - 1 {
		number := bits.TrailingZeros64(rest)
		if number < len(names) {
			words = append(words, "CAP_"+names[number])
		} else {
			words = append(words, fmt.Sprintf("capability %d", number))
		}
	}
	return strings.Join(words, " ")
}

// Thread has the capability sets of a thread.
type Thread struct{ Effective, Permitted, Inheritable Set }

var header = unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}

// OfThread returns the capabilities of the calling thread.
func OfThread() (Thread, error) {
	var data [2]unix.CapUserData
	h := header
	if err := unix.Capget(&h, &data[0]); err != nil {
		return Thread{}, fmt.Errorf("reading the capabilities of this process: %w", err)
	}
	return Thread{
		Effective:   Set(data[0].Effective) | Set(data[1].Effective)<<32,
		Permitted:   Set(data[0].Permitted) | Set(data[1].Permitted)<<32,
		Inheritable: Set(data[0].Inheritable) | Set(data[1].Inheritable)<<32,
	}, nil
}

func (t Thread) data() *[2]unix.CapUserData {
	var data [2]unix.CapUserData
	for i := range data {
		data[i] = unix.CapUserData{
			Effective: uint32(t.Effective >> (32 * i)), Permitted: uint32(t.Permitted >> (32 * i)), Inheritable: uint32(t.Inheritable >> (32 * i)),
		}
	}
	return &data
}

// Apply sets the capabilities of the calling thread, which must be locked to its goroutine.
func (t Thread) Apply() error {
	h := header
	return unix.Capset(&h, &t.data()[0])
}

// ApplyToAll sets the capabilities of all threads of this process. It fails in binaries that use cgo.
func (t Thread) ApplyToAll() error {
	h := header
	_, _, errno := syscall.AllThreadsSyscall(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&h)), uintptr(unsafe.Pointer(t.data())), 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// OnOwnThread calls f on a separate thread that ends with f, and does not wait. Changes that f makes to its thread affect
// nothing else.
func OnOwnThread(f func()) {
	go func() {
		runtime.LockOSThread() // not unlocked: the thread ends with the goroutine
		if unix.Gettid() != unix.Getpid() {
			f()
			return
		}
		// The main thread would not exit, and /proc/PID shows its capabilities as those of the process.
		taken := make(chan struct{})
		OnOwnThread(func() {
			close(taken)
			f()
		})
		<-taken
		runtime.UnlockOSThread()
	}()
}
