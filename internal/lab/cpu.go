package lab

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

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
	skip := (number - 1) % allowed.Count()
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

// startPinned starts a program on one core, where the processes it makes stay too. The calling thread comes back to
// where it was.
func startPinned(cmd *Cmd, cpu int) error {
	var all, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		return fmt.Errorf("get CPU affinity: %w", err)
	}
	one.Set(cpu)
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		return fmt.Errorf("pin to CPU %d: %w", cpu, err)
	}
	return errors.Join(cmd.Cmd.Start(), unix.SchedSetaffinity(0, &all))
}
