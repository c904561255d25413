package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lvs-ha/lvs-ha/e2e/chaos"
)

// troubles plays rounds until there were enough troubles, and prints a line for each round.
func troubles(ctx context.Context, o options) (err error) {
	next, err := rounds(o)
	if err != nil {
		return err
	}
	fmt.Printf("== troubles of a pair: seed %d; to repeat a round: make soak SEED=%[1]d ROUND=NUMBER, or SCHEDULE='TROUBLES'\n", o.seed)
	pair, err := chaos.NewPair(ctx, o.binary)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pair.Close()) }()
	var report chaos.Report
	began := time.Now()
	for ctx.Err() == nil {
		number, schedule := next(report.Troubles())
		if schedule == nil {
			break
		}
		result := pair.Play(ctx, schedule)
		if ctx.Err() != nil {
			break
		}
		report.Add(result)
		fmt.Printf("%6.0f s  round %d: %s\n          %s\n", time.Since(began).Seconds(), number, schedule, result.Seen)
		for _, b := range result.Broken {
			fmt.Printf("          FAIL: %s\n", b)
		}
		fmt.Print(result.Log)
		if result.Lost {
			if err := pair.PowerCycle(ctx); err != nil {
				return errors.Join(fmt.Errorf("after a round that did not end well: %w", err), errBroken)
			}
		}
	}
	fmt.Printf("seed %d\n%s", o.seed, &report)
	if ctx.Err() != nil {
		return fmt.Errorf("troubles: %w", context.Cause(ctx))
	}
	if report.Broken() > 0 {
		return fmt.Errorf("troubles, seed %d: %d rounds: %w", o.seed, report.Broken(), errBroken)
	}
	return nil
}

// rounds returns a function that returns the next round, or nil after enough troubles.
func rounds(o options) (next func(had int) (number int, s chaos.Schedule), err error) {
	var given chaos.Schedule
	if o.schedule != "" {
		if given, err = chaos.ParseSchedule(o.schedule); err != nil {
			return nil, err
		}
	}
	from, err := chaos.Choose(o.only, o.except)
	if err != nil {
		return nil, err
	}
	number := 0
	return func(had int) (int, chaos.Schedule) {
		number++
		switch {
		case had >= o.troubles:
			return 0, nil
		case given != nil:
			return number, given
		case o.round > 0:
			return o.round, chaos.Round(o.seed, o.round, from)
		default:
			return number, chaos.Round(o.seed, number, from)
		}
	}, nil
}
