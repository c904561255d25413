package main

import (
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// endAll sends SIGTERM to all processes and waits a few seconds at most for them to exit.
func endAll() {
	_ = syscall.Kill(-1, syscall.SIGTERM)
	deadline := time.Now().Add(5 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for othersRun() && time.Now().Before(deadline) {
		<-tick.C
	}
}

// othersRun reports whether there is a program other than init and this one.
func othersRun() bool {
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return false
	}
	for _, f := range files {
		if dir := filepath.Dir(f); dir == "/proc/1" || filepath.Base(dir) == filepath.Base(self()) {
			continue
		}
		// Kernel threads and zombies have an empty command line.
		if line, err := os.ReadFile(f); err == nil && len(line) > 0 {
			return true
		}
	}
	return false
}

func self() string {
	path, err := os.Readlink("/proc/self")
	if err != nil {
		return ""
	}
	return path
}
