package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"github.com/lvs-ha/lvs-ha/internal/lab/guest"
)

// Cmd is an exec.Cmd that starts in a host's network namespace. It redefines Start, Run, Output and CombinedOutput.
type Cmd struct {
	*exec.Cmd
	host *Node
}

// Command prepares a program to run in the host: in its network namespace, with its /sys, in its own process group. The
// group is killed when the context ends, this process dies or the Lab is closed.
func (h *Node) Command(ctx context.Context, name string, args ...string) *Cmd {
	c := exec.CommandContext(ctx, name, args...)
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	c.Cancel = func() error { return killGroup(c.Process.Pid) }
	c.WaitDelay = guest.OutputDelay
	return &Cmd{Cmd: c, host: h}
}

func killGroup(pid int) error {
	if err := syscall.Kill(-pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("kill process group %d: %w", pid, err)
	}
	return nil
}

// Start starts the program without waiting for it.
func (c *Cmd) Start() error {
	if c.Dir == "" {
		// The forking thread still has its initial directory.
		dir, err := os.Getwd()
		if err != nil {
			return fmt.Errorf("start %s: %w", c.Path, err)
		}
		c.Dir = dir
	}
	if err := c.host.spawner.do(c.Cmd.Start); err != nil {
		return fmt.Errorf("host %s: start %s: %w", c.host.name, c.Path, err)
	}
	return nil
}

// Run runs the program to completion.
func (c *Cmd) Run() error {
	if err := c.Start(); err != nil {
		return err
	}
	return c.Wait()
}

// Output runs the program and returns its standard output. Its standard error is in the error, unless redirected.
func (c *Cmd) Output() ([]byte, error) {
	var stdout, stderr bytes.Buffer
	c.Stdout = &stdout
	if c.Stderr == nil {
		c.Stderr = &stderr
	}
	if err := c.Run(); err != nil {
		return stdout.Bytes(), fmt.Errorf("host %s: %v: %w: %s", c.host.name, c.Args, err, bytes.TrimSpace(stderr.Bytes()))
	}
	return stdout.Bytes(), nil
}

// CombinedOutput runs the program and returns its standard output and standard error.
func (c *Cmd) CombinedOutput() ([]byte, error) {
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	err := c.Run()
	return out.Bytes(), err
}

// Kill kills the program and its process group, without waiting.
func (c *Cmd) Kill() error { return killGroup(c.Process.Pid) }
