package flight

import (
	"os"
	"path/filepath"
)

// Find opens the recording in the memory of the lvs-ha that runs in this network namespace; nil if there is none, or access is
// denied.
func Find() *os.File {
	const target = "/memfd:" + MemoryName + " (deleted)"
	here, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		return nil
	}
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil
	}
	for _, process := range processes {
		if there, err := os.Readlink(filepath.Join(process, "ns/net")); err != nil || there != here {
			continue
		}
		files, err := os.ReadDir(filepath.Join(process, "fd"))
		if err != nil {
			continue
		}
		for _, f := range files {
			path := filepath.Join(process, "fd", f.Name())
			if found, err := os.Readlink(path); err != nil || found != target {
				continue
			}
			if file, err := os.Open(path); err == nil {
				return file
			}
		}
	}
	return nil
}
