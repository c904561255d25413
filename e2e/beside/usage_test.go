package beside

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// cpuTime returns the CPU time of all threads of all processes of a router, from the scheduler's statistics.
func (r *router) cpuTime() (sum time.Duration) {
	for _, pid := range r.processes() {
		sum += processTime(r.tb, pid)
	}
	return sum
}

func processTime(tb testing.TB, pid int) (sum time.Duration) {
	tb.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil {
		tb.Fatal(err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		ns, err := strconv.ParseInt(strings.Fields(string(text))[0], 10, 64)
		if err != nil {
			tb.Fatal(err)
		}
		sum += time.Duration(ns)
	}
	return sum
}

// memory is that of all processes of a router.
type memory struct{ rss, pss float64 } // MB

func (r *router) memory() (m memory) {
	r.tb.Helper()
	for _, pid := range r.processes() {
		p := processMemory(r.tb, pid)
		m.rss += p.rss
		m.pss += p.pss
	}
	return m
}

func processMemory(tb testing.TB, pid int) (m memory) {
	tb.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		tb.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		name, rest, _ := strings.Cut(line, ":")
		fields := strings.Fields(rest)
		if name != "Rss" && name != "Pss" {
			continue
		}
		kb, err := strconv.ParseFloat(fields[0], 64)
		if err != nil {
			tb.Fatal(err)
		}
		if name == "Rss" {
			m.rss = kb / 1024
		} else {
			m.pss = kb / 1024
		}
	}
	return m
}
