// Command guestinit is the init of a test kernel. It configures the machine according to its specification and runs
// commands for the lab outside.
package main

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/lvs-ha/lvs-ha/internal/lab/guest"
)

func main() {
	var err error
	if os.Getpid() == 1 {
		err = boot()
	} else {
		err = work()
	}
	if err != nil {
		// The console is the only place to report an error.
		fmt.Fprintln(os.Stderr, "guestinit:", err)
	}
	if os.Getpid() == 1 {
		powerOff()
	}
	os.Exit(1)
}

// boot mounts what the worker needs, starts the worker and reaps orphaned processes. The worker cannot reap them: it waits
// for its own children, and a wait for any process would take their exit statuses too.
func boot() error {
	if err := mountAll(); err != nil {
		return err
	}
	pid, err := syscall.ForkExec("/proc/self/exe", []string{"guestinit"}, &syscall.ProcAttr{
		Env: os.Environ(), Files: []uintptr{0, 1, 2},
	})
	if err != nil {
		return fmt.Errorf("start the worker: %w", err)
	}
	for {
		got, err := syscall.Wait4(-1, nil, 0, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil || got == pid {
			return err
		}
	}
}

func powerOff() {
	unix.Sync()
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	os.Exit(1)
}

func work() error {
	spec, err := guest.ReadSpec(os.Getenv(guest.EnvSpec))
	if err != nil {
		return err
	}
	setEnvironment()
	ln, ready, err := openManagement(spec.Management)
	if err != nil {
		return err
	}
	report := guest.Ready{}
	if err := setUp(spec); err != nil {
		report.Error = err.Error()
	}
	if err := guest.NewWriter(ready).WriteJSON(guest.FrameStarted, report); err != nil {
		return fmt.Errorf("report that the machine is ready: %w", err)
	}
	return serve(ln)
}

// setEnvironment sets the environment of all programs. Temporary files go to a memory file system, since inotify does not
// report changes on the file system shared with the host.
func setEnvironment() {
	os.Clearenv()
	for key, value := range map[string]string{
		"PATH":   "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME":   "/root",
		"LANG":   "C.UTF-8",
		"TERM":   "dumb",
		"TMPDIR": "/dev/shm",
	} {
		_ = os.Setenv(key, value)
	}
}
