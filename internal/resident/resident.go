// Package resident reduces the memory that a process occupies.
package resident

import (
	"bufio"
	"os"
	"runtime/debug"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Release returns memory to the system that the process does not need any more: garbage, and the pages of the program's file,
// most of which only the start needs.
func Release() {
	debug.FreeOSMemory()
	releaseProgram()
}

// releaseProgram unmaps the pages of the program's file: reading a configuration uses a part of the program that is larger than
// the rest of a director. Those in use are mapped again, from the page cache while they are in it. It returns the size of what it
// unmapped.
func releaseProgram() (size uint64) {
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return 0
	}
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		return 0
	}
	defer f.Close()
	var start, end uint64 // of a mapping of the program that cannot be written to
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line := lines.Text()
		if addresses, rest, ok := strings.Cut(line, " "); ok && strings.Contains(addresses, "-") {
			start, end = 0, 0
			if strings.HasPrefix(rest, "r-") && strings.HasSuffix(rest, " "+program) {
				from, to, _ := strings.Cut(addresses, "-")
				start, _ = strconv.ParseUint(from, 16, 64)
				end, _ = strconv.ParseUint(to, 16, 64)
			}
			continue
		}
		// Pages that were changed, as the linker of a position-independent program does, would be lost.
		if name, value, _ := strings.Cut(line, ":"); name == "Anonymous" && strings.TrimSpace(value) == "0 kB" && end > start {
			if _, _, errno := unix.Syscall(unix.SYS_MADVISE, uintptr(start), uintptr(end-start), unix.MADV_DONTNEED); errno == 0 {
				size += end - start
			}
		}
	}
	return size
}
