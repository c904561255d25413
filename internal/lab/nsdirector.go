package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// NamespaceDirector is a director in a namespace of this kernel, which must have IPVS. It implements Director.
type NamespaceDirector struct {
	lab    *Lab
	config DirectorConfig

	mu   sync.Mutex
	host *Node
}

var _ Director = (*NamespaceDirector)(nil)

// NewNamespaceDirector creates a powered-off namespace director.
func (l *Lab) NewNamespaceDirector(c DirectorConfig) (*NamespaceDirector, error) {
	if err := HasIPVS(); err != nil {
		return nil, fmt.Errorf("make namespace director %s: %w", c.Name, err)
	}
	// Built-in and missing modules are detected when they are used.
	if path, err := exec.LookPath("modprobe"); err == nil {
		_ = exec.Command(path, append([]string{"-aq"}, slices.Concat(DirectorModules(), c.Modules)...)...).Run()
	}
	c.NICs = l.withMACs(c.NICs)
	return &NamespaceDirector{lab: l, config: c}, nil
}

// Name returns the director's name.
func (d *NamespaceDirector) Name() string { return d.config.Name }

// Describe returns a description of the director.
func (d *NamespaceDirector) Describe() string { return "a network namespace of this kernel" }

// Console is empty: the kernel is the host's.
func (d *NamespaceDirector) Console() string { return "" }

// Start creates the namespace with its interfaces.
func (d *NamespaceDirector) Start(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.host != nil {
		return fmt.Errorf("start director %s: it is on already", d.config.Name)
	}
	h, err := d.lab.Host(d.config.Name, d.config.NICs...)
	if err != nil {
		return fmt.Errorf("start director %s: %w", d.config.Name, err)
	}
	d.host = h
	if err := d.settle(h); err != nil {
		d.host = nil
		return errors.Join(fmt.Errorf("start director %s: %w", d.config.Name, err), d.lab.remove(h))
	}
	return nil
}

// settle sets up the director's hostname, /run, /dev/shm, routes and kernel parameters.
func (d *NamespaceDirector) settle(h *Node) error {
	err := h.spawner.do(func() error {
		if err := unix.Unshare(unix.CLONE_NEWUTS); err != nil {
			return fmt.Errorf("make a UTS namespace: %w", err)
		}
		if err := unix.Sethostname([]byte(d.config.Name)); err != nil {
			return fmt.Errorf("set hostname: %w", err)
		}
		for _, dir := range []string{"/run", "/dev/shm"} {
			if err := unix.Mount("lab", dir, "tmpfs", 0, ""); err != nil {
				return fmt.Errorf("mount tmpfs on %s: %w", dir, err)
			}
		}
		return nil
	})
	for _, r := range d.config.Routes {
		if err == nil {
			err = h.AddRoute(r.Destination, r.Via)
		}
	}
	for key, value := range d.config.Sysctls {
		if err == nil {
			err = h.Sysctl(key, value)
		}
	}
	return err
}

// Kill cuts the links, stops all processes, kills them and removes the namespace with its addresses and IPVS table.
func (d *NamespaceDirector) Kill() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.host == nil {
		return nil
	}
	h := d.host
	d.host = nil
	var errs []error
	for _, nic := range d.config.NICs {
		errs = append(errs, h.Down(nic.Name))
	}
	errs = append(errs, signalInside(h.path(), unix.SIGSTOP), d.lab.remove(h))
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("kill director %s: %w", d.config.Name, err)
	}
	return nil
}

// PowerOff ends all processes with SIGTERM, then the director.
func (d *NamespaceDirector) PowerOff(ctx context.Context) error {
	h, err := d.on()
	if err != nil {
		return nil
	}
	err = signalInside(h.path(), unix.SIGTERM)
	if err == nil {
		err = awaitEmpty(ctx, h.path())
	}
	return errors.Join(err, d.Kill())
}

func (d *NamespaceDirector) on() (*Node, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.host == nil {
		return nil, fmt.Errorf("director %s is off", d.config.Name)
	}
	return d.host, nil
}

// Exec runs a program to completion.
func (d *NamespaceDirector) Exec(ctx context.Context, argv ...string) (Result, error) {
	return run(ctx, d.Spawn, Command{Argv: argv})
}

// Spawn starts a program.
func (d *NamespaceDirector) Spawn(ctx context.Context, c Command) (*Process, error) {
	h, err := d.on()
	if err != nil {
		return nil, err
	}
	cmd := h.Command(ctx, c.Argv[0], c.Argv[1:]...)
	cmd.Env = append(os.Environ(), c.Env...)
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = c.Dir, c.Stdin, c.Stdout, c.Stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &Process{done: make(chan struct{})}
	p.signal = func(sig syscall.Signal) error { return syscall.Kill(-cmd.Process.Pid, sig) }
	go func() {
		err := cmd.Wait()
		if _, ok := errors.AsType[*exec.ExitError](err); ok || errors.Is(err, exec.ErrWaitDelay) {
			err = nil
		}
		p.finish(cmd.ProcessState.ExitCode(), err)
	}()
	return p, nil
}

// WriteFile writes a file as the director's processes see it.
func (d *NamespaceDirector) WriteFile(_ context.Context, path string, data []byte) error {
	h, err := d.on()
	if err != nil {
		return err
	}
	err = h.spawner.do(func() error {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		return os.WriteFile(path, data, 0o644)
	})
	if err != nil {
		return fmt.Errorf("director %s: %w", d.config.Name, err)
	}
	return nil
}
