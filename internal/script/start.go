package script

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"syscall"

	"github.com/lvs-ha/lvs-ha/internal/capability"
	"golang.org/x/sys/unix"
)

// open prepares the thread.
func (s *starter) open() {
	s.calls, s.closed = make(chan func()), make(chan struct{})
	ready := make(chan error)
	capability.OnOwnThread(func() {
		ready <- prepareThread()
		oom := openOOMProtection(oomFile)
		defer oom.close()
		for {
			select {
			case call := <-s.calls:
				oom.without(call)
			case <-s.closed:
				return
			}
		}
	})
	if err := <-ready; err != nil {
		s.err = fmt.Errorf("preparing to run scripts: %w", err)
	}
}

// prepareThread sets what scripts inherit from the calling thread: no ambient capabilities, which would survive a change of
// the user, and the default file creation mask instead of this process's.
func prepareThread() error {
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fmt.Errorf("clearing ambient capabilities: %w", err)
	}
	thread, err := capability.OfThread()
	if err != nil {
		return err
	}
	thread.Inheritable = 0
	if err := raised(thread).Apply(); err != nil {
		return fmt.Errorf("setting capabilities: %w", err)
	}
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("giving scripts a file creation mask of their own: %w", err)
	}
	unix.Umask(0o022)
	return nil
}

// start starts a command.
func (s *starter) start(ctx context.Context, c Command, id identity, path string) (*process, error) {
	s.once.Do(s.open)
	if s.err != nil {
		return nil, s.err
	}
	var p *process
	var err error
	done := make(chan struct{})
	call := func() {
		defer close(done)
		if err = context.Cause(ctx); err == nil {
			p, err = begin(c, id, path)
		}
	}
	select {
	case s.calls <- call:
		<-done
	case <-s.closed:
		err = errClosed
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if errors.Is(err, errTimedOut) {
		err = errors.New("could not be started within its timeout")
	}
	return p, err
}

// begin starts a command on the starter's thread.
func begin(c Command, id identity, path string) (*process, error) {
	attributes := &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	other := !id.mine()
	if other {
		if err := checkCapabilities(id); err != nil {
			return nil, err
		}
		attributes.Credential = &syscall.Credential{Uid: id.uid, Gid: id.gid, Groups: id.groups}
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	output, input, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("making a pipe for the output: %w", err)
	}
	defer input.Close()
	pidfd := -1
	attributes.PidFD = &pidfd
	arguments := c.Args
	if c.Shell {
		arguments = slices.Concat([]string{shell, "-c", c.Args[0], "sh"}, c.Args[1:])
	}
	pid, err := syscall.ForkExec(path, arguments, &syscall.ProcAttr{
		Dir: "/", Env: append([]string{"PATH=" + Path}, c.Env...),
		Files: []uintptr{null.Fd(), input.Fd(), input.Fd()}, Sys: attributes,
	})
	if other {
		// The child shares this process's memory until it calls execve, and its change of user has made that memory
		// non-dumpable. The next lvs-ha must be able to inspect this process (supervisor, role).
		_ = unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0)
	}
	if err != nil {
		output.Close()
		return nil, explain(err, path, id)
	}
	return newProcess(pid, pidfd, output)
}

// explain returns the reason why a program cannot be executed.
func explain(err error, path string, id identity) error {
	hint := ""
	switch {
	case errors.Is(err, syscall.EACCES):
		hint = fmt.Sprintf(": user %s may not execute it, or its file system is mounted noexec", id.name)
	case errors.Is(err, syscall.ENOEXEC):
		hint = ": it is neither a program for this machine nor a script with a first line such as #!/bin/sh"
	case errors.Is(err, syscall.ENOENT):
		hint = ": its interpreter or its loader is missing"
	case errors.Is(err, syscall.EAGAIN):
		hint = ": the number of processes is limited (TasksMax=, ulimit -u)"
	}
	return fmt.Errorf("executing %s: %w%s", path, err, hint)
}

// needed are the capabilities to change the user and to kill processes of another user.
var needed = capability.Of(unix.CAP_SETUID, unix.CAP_SETGID, unix.CAP_KILL)

// raised makes the needed capabilities effective if they are permitted.
func raised(thread capability.Thread) capability.Thread {
	thread.Effective |= thread.Permitted & needed
	return thread
}

// checkCapabilities reports which capabilities the calling thread lacks to run and kill a command of another user.
func checkCapabilities(id identity) error {
	thread, err := capability.OfThread()
	if err != nil {
		return err
	}
	if lacks := needed &^ thread.Effective; lacks != 0 {
		return fmt.Errorf("running as user %s requires %s, which lvs-ha lacks: add it to CapabilityBoundingSet= in the systemd unit "+
			"(and to AmbientCapabilities= if lvs-ha does not run as root)", id.name, lacks)
	}
	return nil
}

// withCapabilities calls f on a thread on which the needed capabilities are effective if they are permitted.
func withCapabilities(f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	old, err := capability.OfThread()
	if err != nil {
		return err
	}
	if raised(old) == old {
		return f()
	}
	if err := raised(old).Apply(); err != nil {
		return err
	}
	defer func() { _ = old.Apply() }() // lowering is always permitted
	return f()
}
