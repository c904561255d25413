// Command soak looks for faults that short tests do not find: it measures whether directors with one CPU each send adverts on
// time under load, and injects random troubles into a pair of directors. It prints figures, and fails if a budget is exceeded.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/lab"
)

// options are the command-line options.
type options struct {
	binary  string
	cells   string
	perCell time.Duration

	troubles     int
	seed         uint64
	round        int
	schedule     string
	only, except string
}

const (
	usualTroubles = 60
	usualLimit    = time.Hour
)

// errBroken means that a budget was exceeded, as shown by the figures.
var errBroken = errors.New("a budget was broken")

func main() {
	var o options
	minutes := flag.Float64("minutes", 0.7, "how many `minutes` each cell of the matrix is measured")
	flag.StringVar(&o.binary, "lvs-ha", "bin/lvs-ha", "the `program` to test")
	flag.StringVar(&o.cells, "cells", "", "only the matrix, and of it these `cells`, as 50x10ms/hog or */garbage/machines; all")
	flag.IntVar(&o.troubles, "troubles", 0, "only troubles, and so `many` of them")
	flag.Uint64Var(&o.seed, "seed", 0, "the `seed` of the troubles; another one each time if 0")
	flag.IntVar(&o.round, "round", 0, "only the round of this `number`, from 1, of the seed; with -troubles again and again")
	flag.StringVar(&o.schedule, "schedule", "", "only this `round`, as \"lb1 speaker-killed 430ms, lb2 eth0-down 1.2s\"; with -troubles again and again")
	flag.StringVar(&o.only, "only", "", "only troubles with these `names`, as eth0-*")
	flag.StringVar(&o.except, "except", "", "no troubles with these `names`")
	flag.Parse()
	o.perCell = time.Duration(*minutes * float64(time.Minute))
	if o.seed == 0 {
		o.seed = uint64(rand.Uint32())
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

// run runs the selected parts, or everything within usualLimit.
func run(ctx context.Context, o options) error {
	if err := lab.Able(lab.Pair); err != nil {
		return err
	}
	binary, err := filepath.Abs(o.binary)
	if err == nil {
		binary, err = filepath.EvalSymlinks(binary)
	}
	if err != nil {
		return err
	}
	if filepath.Base(binary) != "lvs-ha" {
		return fmt.Errorf("%s: the program must be called lvs-ha, since its processes are found by that name", binary)
	}
	o.binary = binary
	chaosOnly := o.troubles > 0 || o.round > 0 || o.schedule != ""
	if o.cells == "" && !chaosOnly {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, usualLimit, fmt.Errorf("not done after %v", usualLimit))
		defer cancel()
	}
	var errs []error
	if o.cells != "" || !chaosOnly {
		errs = append(errs, matrix(ctx, o))
	}
	if o.cells == "" || chaosOnly {
		switch {
		case o.troubles > 0:
		case o.round > 0 || o.schedule != "":
			o.troubles = 1
		default:
			o.troubles = usualTroubles
		}
		errs = append(errs, troubles(ctx, o))
	}
	return errors.Join(errs...)
}
