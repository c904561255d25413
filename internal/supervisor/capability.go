package supervisor

import (
	"errors"
	"fmt"
	"math/bits"
	"os"
	"syscall"

	"github.com/lvs-ha/lvs-ha/internal/capability"
	"golang.org/x/sys/unix"
)

// Capabilities is a set of Linux capabilities.
type Capabilities = capability.Set

// The capabilities of each process. The parent itself uses none, but can give its workers only capabilities that it has.
var (
	SpeakerCapabilities = capability.Of(unix.CAP_NET_ADMIN, unix.CAP_NET_RAW, unix.CAP_SYS_NICE, unix.CAP_IPC_LOCK)
	// DAC_READ_SEARCH is for configurations and keys of other users.
	DirectorCapabilities = capability.Of(unix.CAP_NET_ADMIN, unix.CAP_DAC_READ_SEARCH) | ScriptCapabilities
	// ScriptCapabilities run scripts as other users, and kill them. They are in effect only while the director does that.
	ScriptCapabilities = capability.Of(unix.CAP_SETUID, unix.CAP_SETGID, unix.CAP_KILL)
	ParentCapabilities = SpeakerCapabilities | DirectorCapabilities
)

// permitted returns the calling thread's permitted capabilities.
func permitted() (Capabilities, error) {
	thread, err := capability.OfThread()
	return thread.Permitted, err
}

// LowerDirector takes out of effect what the director has for its scripts only. It stays permitted: package script makes
// it effective on the thread that starts or kills a script, and root's scripts inherit it.
func LowerDirector() error {
	thread, err := capability.OfThread()
	if err != nil {
		return err
	}
	thread.Effective &= DirectorCapabilities &^ ScriptCapabilities
	err = thread.ApplyToAll()
	if errors.Is(err, syscall.ENOTSUP) {
		return nil // built with cgo, which no release is
	}
	if err != nil {
		return fmt.Errorf("lowering the director's capabilities: %w", err)
	}
	return nil
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
	thread := capability.Thread{Effective: keep, Permitted: keep}
	if byAmbient {
		thread.Inheritable = keep
	}
	if err := thread.Apply(); err != nil {
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
