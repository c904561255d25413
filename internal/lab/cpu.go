package lab

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Cores lists the cores that this process may use, counted from 1.
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

// chooseCPU returns the number of a core that this process may use: the wanted one, counted from 1, or if that is
// not positive one for the number-th machine.
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
	// Other labs at the same time start elsewhere.
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

// machineNice puts machines before the programs that watch them: a machine of its own would not wait for those either.
const machineNice = -10

// startPinned starts a program on one core, where the processes it makes stay too, with machineNice if that is
// permitted. The calling thread comes back to what it was.
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
	// Where the scheduler groups processes by session, a nice value counts within the session only: a session of
	// its own with a nice value for all of it.
	cmd.SysProcAttr.Setpgid, cmd.SysProcAttr.Setsid = false, true
	if err := errors.Join(cmd.Cmd.Start(), unix.SchedSetaffinity(0, &all)); err != nil {
		return err
	}
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/autogroup", cmd.Process.Pid), []byte(strconv.Itoa(machineNice)), 0)
	return nil
}
