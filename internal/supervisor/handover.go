package supervisor

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"

	"github.com/lvs-ha/lvs-ha/internal/statefile"
	"golang.org/x/sys/unix"
)

// Handover is what a parent passes to another version of lvs-ha that takes its place: the workers that it started, which
// continue meanwhile, and the way back. The other version gets the same process ID, arguments and environment.
type Handover struct {
	Rehearsal bool         // only report whether this version could take over
	Path      string       // of the installed program
	Kept      Capabilities // which the process's version keeps: it cannot gain more
	Upgrade   Upgrade
	Workers   []heldWorker
	Stored    []storedFile
	Ending    []int  // other children, which end by themselves
	Role      int    // descriptor of the parent role; -1: none
	Old       int    // descriptor of the program to go back to; -1: none
	Memory    int    // descriptor of Parent.Memory, for a rehearsal; 0: none
	Back      string // why the old version is put back; empty on the way forward
}

// heldWorker is a worker of the version before. It counts its parent as alive while the link is open.
type heldWorker struct {
	Name string
	PID  int
	Link int // descriptor
}

// storedFile is a file that a worker stored for its successors.
type storedFile struct {
	Worker, Name string
	File         int // descriptor
}

// handoverFormat is the format of handoverEnv. A version that changes the meaning of a field increments the number.
var handoverFormat = statefile.Format{Kind: "handover", Version: 1, Limit: 64 << 10}

const handoverEnv = "LVS_HA_HANDOVER"

// InheritHandover returns what another version passed to this process; nil if this is an ordinary start.
func InheritHandover() (*Handover, error) {
	text, ok := os.LookupEnv(handoverEnv)
	if !ok {
		return nil, nil
	}
	if err := os.Unsetenv(handoverEnv); err != nil {
		return nil, err
	}
	var h Handover
	if err := handoverFormat.Decode([]byte(text), &h); err != nil {
		return nil, fmt.Errorf("what the running version passes on, %s: %w", handoverEnv, err)
	}
	if lacks := ParentCapabilities &^ h.Kept; lacks != 0 && h.Rehearsal {
		return nil, fmt.Errorf("the running lvs-ha has dropped %s, which this version needs: restart it instead", lacks)
	}
	if !h.Rehearsal {
		for _, fd := range h.descriptors() {
			syscall.CloseOnExec(fd)
		}
	}
	return &h, nil
}

func (h *Handover) descriptors() (all []int) {
	for _, w := range h.Workers {
		all = append(all, w.Link)
	}
	for _, f := range h.Stored {
		all = append(all, f.File)
	}
	for _, fd := range []int{h.Role, h.Old} {
		if fd >= 0 {
			all = append(all, fd)
		}
	}
	return all
}

// environment returns this process's environment with the handover.
func (h *Handover) environment() ([]string, error) {
	text, err := handoverFormat.Encode(h)
	if err != nil {
		return nil, err
	}
	environment := append(os.Environ(), handoverEnv+"="+string(text))
	if !h.Rehearsal { // the process has already dropped what it does not need: see Confine
		environment = append(environment, confinedEnv+"="+strconv.Itoa(os.Getpid()))
	}
	return environment, nil
}

// execute replaces the program of this process. It returns only if that fails.
func (h *Handover) execute(program string) error {
	environment, err := h.environment()
	if err != nil {
		return err
	}
	for _, fd := range h.descriptors() {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0); err != nil {
			return fmt.Errorf("passing on descriptor %d: %w", fd, err)
		}
	}
	err = syscall.Exec(program, os.Args, environment)
	for _, fd := range h.descriptors() {
		syscall.CloseOnExec(fd)
	}
	return fmt.Errorf("executing %s: %w", h.Path, err)
}

// end ends a worker of the version before and waits for its end, with which its role is free.
func (h *Handover) end(name string, how syscall.Signal) {
	for i, w := range h.Workers {
		if w.Name != name {
			continue
		}
		if syscall.Kill(w.PID, how) == nil {
			reap(w.PID)
		}
		unix.Close(w.Link)
		h.Workers = append(h.Workers[:i:i], h.Workers[i+1:]...)
		return
	}
}

// reap waits for a child that os/exec did not start in this program.
func reap(pid int) {
	for {
		if _, err := syscall.Wait4(pid, nil, 0, nil); !errors.Is(err, syscall.EINTR) {
			return
		}
	}
}

// nameProcess gives this process the name of its program: one that is executed by a descriptor or by /proc/self/exe gets
// another. It is how a worker recognizes its parent.
func nameProcess() {
	name := baseName(os.Args[0])
	_ = os.WriteFile("/proc/self/comm", []byte(name), 0) // the name is then as the kernel chose it
}
