// Command soak looks for what short tests do not find: it measures the pace of adverts of directors with one CPU each, under loads.
// It prints figures, and fails when a budget is broken.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/lab"
)

// options are what the command line says.
type options struct {
	binary  string
	cells   string
	perCell time.Duration
}

// errBroken says that a budget was broken; the figures have said which.
var errBroken = errors.New("a budget was broken")

func main() {
	var o options
	minutes := flag.Float64("minutes", 0.7, "how many `minutes` each cell of the matrix is measured")
	flag.StringVar(&o.binary, "lvs-ha", "bin/lvs-ha", "the `program` to test")
	flag.StringVar(&o.cells, "cells", "", "the `cells` of the matrix to measure, as 50x10ms/hog or */garbage/machines; all if empty")
	flag.Parse()
	o.perCell = time.Duration(*minutes * float64(time.Minute))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	if err := lab.Able(lab.Pair); err != nil {
		return err
	}
	binary, err := filepath.Abs(o.binary)
	if err != nil {
		return err
	}
	o.binary = binary
	return matrix(ctx, o)
}
