package onecpu

import (
	"fmt"
	"strings"
	"time"
)

// Figures are the results of a measurement.
type Figures struct {
	Cell              Cell
	Took              time.Duration
	Adverts           int
	Missed            int // frames lost by the capture; gaps are then overestimated
	Killed            int // workers that exited
	Takeovers         int
	TakeoversInStalls int           // while the host was stalled
	Gap               time.Duration // longest time between two adverts of an instance
	OwnGap            time.Duration // Gap less the stalls of the host within it
	Stall             time.Duration // longest stall of a director's CPU
	Garbage           int           // packets
	Dropped           int           // frames dropped by the directors' cards: the load was too high for the host
	Warnings          string        // the last warnings in the directors' logs
}

// Heading is the heading above the lines of figures.
const Heading = "cell                          killed  takeovers  gap ms  of intervals  without stalls  stall ms  adverts/s  garbage/s  dropped"

// String returns the figures as one line.
func (f Figures) String() string {
	seconds := max(f.Took.Seconds(), 0.001)
	takeovers := fmt.Sprint(f.Takeovers)
	if f.TakeoversInStalls > 0 {
		takeovers = fmt.Sprintf("%d (+%d)", f.Takeovers, f.TakeoversInStalls)
	}
	return fmt.Sprintf("%-28s  %6d  %9s  %6.1f  %12.2f  %14.2f  %8.1f  %9.0f  %9.0f  %7d", f.Cell, f.Killed, takeovers,
		milliseconds(f.Gap), f.intervals(f.Gap), f.intervals(f.OwnGap), milliseconds(f.Stall), float64(f.Adverts)/seconds, float64(f.Garbage)/seconds, f.Dropped)
}

func (f Figures) intervals(d time.Duration) float64 { return float64(d) / float64(f.Cell.Interval) }

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// Broken lists the budgets that were exceeded.
func (f Figures) Broken() (broken []string) {
	if f.Killed > MaxKilled {
		broken = append(broken, fmt.Sprintf("%d workers ended, want %d", f.Killed, MaxKilled))
	}
	if f.Takeovers > MaxTakeovers {
		broken = append(broken, fmt.Sprintf("%d takeovers, want %d", f.Takeovers, MaxTakeovers))
	}
	if f.OwnGap > MaxIntervals*f.Cell.Interval {
		broken = append(broken, fmt.Sprintf("a gap of %.2f intervals, want at most %d", f.intervals(f.OwnGap), MaxIntervals))
	}
	if expected := f.Took.Seconds() / f.Cell.Interval.Seconds() * float64(f.Cell.Instances); float64(f.Adverts) < expected/2 {
		broken = append(broken, fmt.Sprintf("%d adverts, want about %.0f", f.Adverts, expected))
	}
	if f.Missed > 0 {
		broken = append(broken, fmt.Sprintf("the capture missed %d frames", f.Missed))
	}
	if expected := f.Took.Seconds() * float64(GarbageRate); f.Cell.Load == Garbage && float64(f.Garbage) < expected/2 {
		broken = append(broken, fmt.Sprintf("%d packets of garbage, want about %.0f", f.Garbage, expected))
	}
	return broken
}

// Verdict returns the exceeded budgets as text, or "".
func (f Figures) Verdict() string { return strings.Join(f.Broken(), "; ") }
