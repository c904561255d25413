package main

import (
	"context"
	"fmt"

	"github.com/lvs-ha/lvs-ha/e2e/onecpu"
)

// matrix measures the selected cells and prints a line for each.
func matrix(ctx context.Context, o options) error {
	cells := onecpu.Matrix()
	if o.cells != "" {
		var err error
		if cells, err = onecpu.Select(cells, o.cells); err != nil {
			return err
		}
	}
	fmt.Printf("== adverts of directors with one CPU each: %d cells, %v each; budgets: %d killed, %d takeovers, %d intervals\n%s\n",
		len(cells), o.perCell, onecpu.MaxKilled, onecpu.MaxTakeovers, onecpu.MaxIntervals, onecpu.Heading)
	broken := 0
	for _, c := range cells {
		f, err := onecpu.Run(ctx, o.binary, c, o.perCell)
		if err != nil && ctx.Err() != nil {
			return err
		}
		switch {
		case err != nil:
			fmt.Printf("%-28s  FAIL: %v\n%s", c, err, f.Warnings)
			broken++
		case f.Verdict() != "":
			fmt.Printf("%s  FAIL: %s\n%s", f, f.Verdict(), f.Warnings)
			broken++
		default:
			fmt.Printf("%s  ok\n", f)
		}
	}
	if broken > 0 {
		return fmt.Errorf("matrix: %d of %d cells: %w", broken, len(cells), errBroken)
	}
	return nil
}
