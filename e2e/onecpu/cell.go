package onecpu

import (
	"fmt"
	"path"
	"strings"
	"time"
)

// Load is the load on the directors.
type Load string

// The loads.
const (
	Quiet   Load = "quiet"
	Hog     Load = "hog"     // a busy loop at normal priority on each director's CPU
	Garbage Load = "garbage" // forged packets at GarbageRate
)

// Place is the environment in which the directors run.
type Place string

// The places.
const (
	Namespaces Place = "namespaces" // of this kernel, the processes of each director pinned to a separate CPU
	Machines   Place = "machines"   // each director in a test kernel with one CPU
)

// Cell is one measurement.
type Cell struct {
	Instances int
	Interval  time.Duration // of adverts
	Load      Load
	Place     Place
}

// String returns the cell's name: "50x10ms/hog/namespaces".
func (c Cell) String() string {
	return fmt.Sprintf("%dx%v/%s/%s", c.Instances, c.Interval, c.Load, c.Place)
}

// GarbageRate is the number of forged packets per second.
const GarbageRate = 10_000

// Budgets of a cell.
const (
	MaxKilled    = 0
	MaxTakeovers = 0
	MaxIntervals = 3 // between two adverts of an instance; the backup takes over after that
)

// Matrix returns every combination.
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

// Select returns the cells whose names match one of the patterns, which are separated by commas or spaces: "50x10ms/hog" is
// that cell in both places, "*/garbage/machines" every garbage cell in machines, "all" every cell.
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

// matches compares the first parts of a name with those of the pattern.
func matches(pattern, name string) (bool, error) {
	if pattern == "all" {
		return true, nil
	}
	parts := strings.Split(name, "/")
	n := strings.Count(pattern, "/") + 1
	return path.Match(pattern, strings.Join(parts[:min(n, len(parts))], "/"))
}
