package lab

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Cores lists the cores that this process may use, numbered from 1.
func Cores() ([]int, error) {
	var allowed unix.CPUSet
	if err := unix.SchedGetaffinity(0, &allowed); err != nil {
		return nil, fmt.Errorf("get CPU affinity: %w", err)
	}
	var cores []int
	for cpu := 0; len(cores) < allowed.Count(); cpu++ {
		if allowed.IsSet(cpu) {
			cores = append(cores, cpu+1)
		}
	}
	return cores, nil
}

// chooseCPU returns the number of a core that this process may use: the wanted one, numbered from 1, or if that is not
// positive, one for the number-th machine.
func chooseCPU(wanted, number int) (int, error) {
	var allowed unix.CPUSet
	if err := unix.SchedGetaffinity(0, &allowed); err != nil {
		return 0, fmt.Errorf("get CPU affinity: %w", err)
	}
	if wanted > 0 {
		if !allowed.IsSet(wanted - 1) {
			return 0, fmt.Errorf("core %d is not for this process: it has %d", wanted, allowed.Count())
		}
		return wanted - 1, nil
	}
	// Concurrent labs start at other cores.
	skip := (os.Getpid() + number) % allowed.Count()
	for cpu := 0; ; cpu++ {
		if !allowed.IsSet(cpu) {
			continue
		}
		if skip == 0 {
			return cpu, nil
		}
		skip--
	}
}

// machineNice gives machines precedence over the programs that observe them, as on separate hardware.
const machineNice = -10

// startPinned starts a program on one core, inherited by its processes, with machineNice if permitted. The calling
// thread's settings are restored.
func startPinned(cmd *Cmd, cpu int) error {
	var all, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		return fmt.Errorf("get CPU affinity: %w", err)
	}
	one.Set(cpu)
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		return fmt.Errorf("pin to CPU %d: %w", cpu, err)
	}
	if unix.Setpriority(unix.PRIO_PROCESS, 0, machineNice) == nil {
		defer func() { _ = unix.Setpriority(unix.PRIO_PROCESS, 0, 0) }()
	}
	// With autogroups, a nice value applies only within a session: therefore it starts a session with a nice value for
	// all of it.
	cmd.SysProcAttr.Setpgid, cmd.SysProcAttr.Setsid = false, true
	if err := errors.Join(cmd.Cmd.Start(), unix.SchedSetaffinity(0, &all)); err != nil {
		return err
	}
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/autogroup", cmd.Process.Pid), []byte(strconv.Itoa(machineNice)), 0)
	return nil
}
