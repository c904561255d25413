package metrics

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Process is what a process uses.
type Process struct {
	Name    string // parent, speaker or director
	CPU     time.Duration
	Memory  uint64 // resident bytes
	Files   int    // open descriptors; 0 if the kernel does not show them to this process
	Started time.Time
}

// Processes reads the figures of the parent of this process, of this process, the director, and of the speaker. Those that
// cannot be read are left out.
func Processes(speaker int) (list []Process) {
	for _, p := range []struct {
		name string
		pid  int
	}{{"parent", os.Getppid()}, {"speaker", speaker}, {"director", os.Getpid()}} {
		if p.pid <= 0 {
			continue
		}
		if read, err := readProcess(p.pid); err == nil {
			read.Name = p.name
			list = append(list, read)
		}
	}
	return list
}

// ticks is the unit of times in /proc (USER_HZ), the same on all architectures that Go supports.
const ticks = 100

// readProcess reads /proc/PID/stat and /proc/PID/fd (proc(5)).
func readProcess(pid int) (p Process, err error) {
	dir := fmt.Sprintf("/proc/%d", pid)
	text, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return p, err
	}
	// Fields 3, the state, and later follow the command in parentheses, which may contain any character.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	const userTime, systemTime, startTime, resident = 14 - 3, 15 - 3, 22 - 3, 24 - 3
	if len(fields) <= resident {
		return p, fmt.Errorf("reading %s/stat: %d fields", dir, len(fields))
	}
	var values [4]uint64
	var errs []error
	for i, field := range []int{userTime, systemTime, startTime, resident} {
		var err error
		values[i], err = strconv.ParseUint(fields[field], 10, 64)
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return p, fmt.Errorf("reading %s/stat: %w", dir, err)
	}
	p.CPU = time.Duration(values[0]+values[1]) * time.Second / ticks
	p.Started = booted().Add(time.Duration(values[2]) * time.Second / ticks)
	p.Memory = values[3] * uint64(os.Getpagesize())
	if p.Files = openFiles(dir + "/fd"); pid == os.Getpid() {
		p.Files-- // with which they were counted
	}
	return p, nil
}

// openFiles counts a process's descriptors. Of another process with more capabilities, only kernels since Linux 6.2 tell the
// number, as the size of the directory.
func openFiles(dir string) int {
	if f, err := os.Open(dir); err == nil {
		defer f.Close()
		if names, err := f.Readdirnames(-1); err == nil {
			return len(names)
		}
	}
	info, err := os.Stat(dir)
	if err != nil {
		return 0
	}
	return int(info.Size())
}

// booted returns when this host was booted, by its wall clock: always the same, so that start times do not change.
var booted = sync.OnceValue(func() time.Time {
	now := time.Now()
	var up unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &up) != nil {
		return now
	}
	return now.Add(-time.Duration(up.Nano()))
})
