package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/lvs-ha/lvs-ha/internal/lab/guest"
)

// agentPort is the port of the guest's agent on the management network.
const agentPort = 1

// bootLimit limits the boot time, which is 2 to 3 seconds, and much longer on an overloaded host.
const bootLimit = time.Minute

// Machine is a director with its own kernel: user-mode Linux on one core, with interfaces on the lab's bridges. It
// implements Director.
type Machine struct {
	lab    *Lab
	config DirectorConfig
	dir    string
	guest  guest.Spec
	cards  []string // parameters of the kernel's command line
	ports  []netlink.Link
	cpu    int

	mu      sync.Mutex
	power   *powered
	console *tail
}

// powered is one run of a machine, from power on to power off.
type powered struct {
	cmd   *Cmd
	ctx   context.Context // ends with the machine
	ended chan struct{}
}

var _ Director = (*Machine)(nil)

// NewMachine creates a powered-off machine with connected interfaces.
func (l *Lab) NewMachine(c DirectorConfig) (*Machine, error) {
	m, err := l.newMachine(c)
	if err != nil {
		return nil, fmt.Errorf("make machine %s: %w", c.Name, err)
	}
	return m, nil
}

func (l *Lab) newMachine(c DirectorConfig) (*Machine, error) {
	if _, err := kernelPath(); err != nil {
		return nil, err
	}
	if _, err := program("guestinit"); err != nil {
		return nil, err
	}
	dir := filepath.Join(SharedDir, l.id+"-"+c.Name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	m := &Machine{lab: l, config: c, dir: dir, console: &tail{}}
	if err := l.onClose(func() error { return errors.Join(m.Kill(), os.RemoveAll(dir)) }); err != nil {
		return nil, err
	}
	number := l.nextMachine()
	c.NICs = l.withMACs(c.NICs)
	var err error
	if m.cpu, err = chooseCPU(c.CPU, number); err != nil {
		return nil, err
	}
	m.guest = guest.Spec{
		Hostname: c.Name,
		Modules:  append(DirectorModules(), c.Modules...),
		Sysctls:  c.Sysctls,
	}
	for _, r := range c.Routes {
		m.guest.Routes = append(m.guest.Routes, guest.Route(r))
	}
	for _, nic := range c.NICs {
		if err := m.plug(nic); err != nil {
			return nil, fmt.Errorf("plug in %s: %w", nic.Name, err)
		}
	}
	if err := m.plugManagement(number); err != nil {
		return nil, fmt.Errorf("plug in the management card: %w", err)
	}
	return m, nil
}

func (l *Lab) nextMachine() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.machines++
	return l.machines
}

// Name returns the machine's name.
func (m *Machine) Name() string { return m.config.Name }

// Describe returns a description of the machine.
func (m *Machine) Describe() string {
	return fmt.Sprintf("a machine with a kernel of its own (user-mode-linux on CPU %d)", m.cpu)
}

// Console returns the last output of kernel and init.
func (m *Machine) Console() string { return m.console.String() }

// Start boots the machine and returns when its interfaces are up.
func (m *Machine) Start(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.power != nil {
		return fmt.Errorf("start machine %s: it is on already", m.config.Name)
	}
	if err := m.start(ctx); err != nil {
		return errors.Join(fmt.Errorf("start machine %s: %w; its console: %q", m.config.Name, err, m.Console()), m.cutPower())
	}
	return nil
}

func (m *Machine) start(ctx context.Context) error {
	ready, err := m.lab.fabric.Listen("tcp", m.guest.Management.Ready.String())
	if err != nil {
		return err
	}
	defer ready.Close()
	spec := m.guest
	spec.Management.Ready = ready.Addr().(*net.TCPAddr).AddrPort()
	specPath := filepath.Join(m.dir, "spec.json")
	if err := spec.WriteFile(specPath); err != nil {
		return err
	}
	if m.power, err = m.boot(specPath); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, bootLimit, fmt.Errorf("not ready after %v", bootLimit))
	defer cancel()
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	defer context.AfterFunc(m.power.ctx, func() { fail(context.Cause(m.power.ctx)) })()
	if err := awaitReady(ctx, ready); err != nil {
		return err
	}
	for _, port := range m.ports {
		if err := m.lab.awaitForwarding(ctx, port); err != nil {
			return err
		}
	}
	return nil
}

func (m *Machine) boot(specPath string) (*powered, error) {
	kernel, err := kernelPath()
	if err != nil {
		return nil, err
	}
	init, err := program("guestinit")
	if err != nil {
		return nil, err
	}
	memory := m.config.MemoryMB
	if memory == 0 {
		memory = 256
	}
	args := []string{
		fmt.Sprintf("mem=%dM", memory), "rootfstype=hostfs", "rootflags=/", "rw", "noreboot", "panic=-1", "quiet",
		"con=null", "con0=null,fd:1", "uml_dir=" + m.dir, "umid=" + m.config.Name,
		"init=" + init, guest.EnvSpec + "=" + specPath,
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	cmd := m.lab.fabric.Command(ctx, kernel, append(args, m.cards...)...)
	cmd.Env = append(os.Environ(), "TMPDIR=/dev/shm")
	cmd.Stdout, cmd.Stderr = m.console, m.console
	if err := m.lab.fabric.spawner.do(func() error { return startPinned(cmd, m.cpu) }); err != nil {
		cancel(err)
		return nil, fmt.Errorf("start %s: %w", kernel, err)
	}
	p := &powered{cmd: cmd, ctx: ctx, ended: make(chan struct{})}
	go func() {
		_ = cmd.Wait()
		cancel(errors.New("the machine is off"))
		close(p.ended)
	}()
	return p, nil
}

// awaitReady waits until the guest has connected and reported the result of its setup.
func awaitReady(ctx context.Context, ln net.Listener) error {
	defer context.AfterFunc(ctx, func() { _ = ln.Close() })()
	conn, err := ln.Accept()
	if err != nil {
		return errors.Join(context.Cause(ctx), err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	f, err := guest.ReadFrame(conn)
	if err != nil {
		return errors.Join(context.Cause(ctx), err)
	}
	var r guest.Ready
	if err := json.Unmarshal(f.Payload, &r); err != nil {
		return fmt.Errorf("parse what it says about its setup: %w", err)
	}
	if r.Error != "" {
		return errors.New(r.Error)
	}
	return nil
}

// Kill cuts the machine's power.
func (m *Machine) Kill() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.cutPower()
}

func (m *Machine) cutPower() error {
	if m.power == nil {
		return nil
	}
	power := m.power
	m.power = nil
	select {
	case <-power.ended:
		return nil
	default:
	}
	err := power.cmd.Kill()
	<-power.ended
	if err != nil {
		return fmt.Errorf("kill machine %s: %w", m.config.Name, err)
	}
	return nil
}
