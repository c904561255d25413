package onecpu

import (
	"fmt"
	"path"
	"strings"
	"time"
)

// Load is what the directors have to put up with.
type Load string

// The loads.
const (
	Quiet   Load = "quiet"
	Hog     Load = "hog"     // a busy loop at normal priority on each director's CPU
	Garbage Load = "garbage" // as many made-up packets a second as GarbageRate says
)

// Place is where the directors run.
type Place string

// The places.
const (
	Namespaces Place = "namespaces" // of this kernel, each director's processes pinned to a CPU of their own
	Machines   Place = "machines"   // each director in a test kernel with one CPU
)

// Cell is one measurement.
type Cell struct {
	Instances int
	Interval  time.Duration // of adverts
	Load      Load
	Place     Place
}

// String is the cell's name: "50x10ms/hog/namespaces".
func (c Cell) String() string {
	return fmt.Sprintf("%dx%v/%s/%s", c.Instances, c.Interval, c.Load, c.Place)
}

// GarbageRate is in packets a second. A test kernel alone takes 20,000; beside adverts every 10 ms, a system call of
// 13 µs leaves no time for 10,000.
func (c Cell) GarbageRate() int {
	if c.Place == Machines && c.Interval < 100*time.Millisecond {
		return 2_000
	}
	return 10_000
}

// Budgets of a cell.
const (
	MaxKilled    = 0
	MaxTakeovers = 0
	MaxIntervals = 3 // between two adverts of an instance: from there on the backup takes over
)

// Matrix is every combination.
func Matrix() (all []Cell) {
	for _, place := range []Place{Namespaces, Machines} {
		for _, size := range []Cell{
			{Instances: 1, Interval: 10 * time.Millisecond},
			{Instances: 50, Interval: 10 * time.Millisecond},
			{Instances: 5, Interval: 100 * time.Millisecond},
			{Instances: 100, Interval: 100 * time.Millisecond},
			{Instances: 255, Interval: time.Second},
		} {
			for _, load := range []Load{Quiet, Hog, Garbage} {
				all = append(all, Cell{size.Instances, size.Interval, load, place})
			}
		}
	}
	return all
}

// Select returns the cells whose names match one of the patterns, separated by commas or spaces: "50x10ms/hog" is that cell in
// both places, "*/garbage/machines" all with garbage in machines, "all" all.
func Select(cells []Cell, patterns string) (chosen []Cell, err error) {
	words := strings.FieldsFunc(patterns, func(r rune) bool { return r == ',' || r == ' ' })
	used := map[string]bool{}
	for _, c := range cells {
		for _, pattern := range words {
			ok, err := matches(pattern, c.String())
			if err != nil {
				return nil, fmt.Errorf("cells %q: %w", pattern, err)
			}
			if ok {
				used[pattern] = true
				chosen = append(chosen, c)
				break
			}
		}
	}
	for _, pattern := range words {
		if ok, err := matches(pattern, "0x0s/none/nowhere"); err != nil || (!used[pattern] && !ok) {
			return nil, fmt.Errorf("cells %q: there is none of that name; the first is %s", pattern, cells[0])
		}
	}
	return chosen, nil
}

// matches compares as many parts of a name as the pattern has.
func matches(pattern, name string) (bool, error) {
	if pattern == "all" {
		return true, nil
	}
	parts := strings.Split(name, "/")
	n := strings.Count(pattern, "/") + 1
	return path.Match(pattern, strings.Join(parts[:min(n, len(parts))], "/"))
}
