package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/events"
	"github.com/lvs-ha/lvs-ha/internal/supervisor"
	"github.com/spf13/cobra"
)

// followInterval is the time between requests for new events.
const followInterval = 250 * time.Millisecond

func newEvents() *cobra.Command {
	var runtimeDir, output, since string
	var kinds []string
	var follow bool
	cmd := &cobra.Command{
		Use:   "events",
		Short: "Show what changed: VRRP states, real servers, orders, reloads, problems",
		Long: `Show the latest events of the running daemon, at most 1000, oldest first: VRRP instances and real servers that changed
their state, operators' orders, reloads, and parts that went out of service. They survive a restart of lvs-ha, but not a
reboot. --follow waits for new ones and shows them, until interrupted.

Exit status: 0 OK, 1 wrong usage, 3 lvs-ha is not running, 4 lvs-ha does not respond.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			filter, err := eventFilter(since, kinds, time.Now())
			if err != nil {
				return err
			}
			if output != "table" && output != "json" {
				return fmt.Errorf("-o %q: want table or json", output)
			}
			ctx := cmd.Context()
			if follow {
				var stop func()
				ctx, stop = signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
				defer stop()
			}
			return showEvents(ctx, cmd.OutOrStdout(), newClient(supervisor.RuntimeDir(runtimeDir)), filter, follow, output)
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "wait for new events and show them")
	cmd.Flags().StringVar(&since, "since", "", "only events since a `time`, such as 12:00 or \"2026-01-31 12:00\", or of the last 10m or 2h")
	cmd.Flags().StringSliceVar(&kinds, "kind", nil, "only events of these `kinds`: "+listOf(events.Kinds()))
	cmd.Flags().StringVarP(&output, "output", "o", "table", "output format: table, or json with one object a line")
	registerRuntimeDir(cmd, &runtimeDir)
	return cmd
}

func listOf(kinds []events.Kind) string {
	var words []string
	for _, k := range kinds {
		words = append(words, string(k))
	}
	return strings.Join(words, ", ")
}

// eventFilter parses the options.
func eventFilter(since string, kinds []string, now time.Time) (f api.EventFilter, err error) {
	if since != "" {
		if f.Since, err = parseTime(since, now); err != nil {
			return f, fmt.Errorf("--since %w", err)
		}
	}
	for _, word := range kinds {
		if !slices.Contains(events.Kinds(), events.Kind(word)) {
			return f, fmt.Errorf("--kind %q: want some of %s", word, listOf(events.Kinds()))
		}
		f.Kinds = append(f.Kinds, events.Kind(word))
	}
	return f, nil
}

// parseTime parses a duration before now, or a time, local unless it says otherwise. A time without a date is the latest such
// time.
func parseTime(text string, now time.Time) (time.Time, error) {
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.RFC3339, time.DateTime, "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			return t, nil
		}
	}
	for _, layout := range []string{time.TimeOnly, "15:04"} {
		if t, err := time.Parse(layout, text); err == nil {
			year, month, day := now.Date()
			at := time.Date(year, month, day, t.Hour(), t.Minute(), t.Second(), 0, now.Location())
			if at.After(now) {
				at = time.Date(year, month, day-1, t.Hour(), t.Minute(), t.Second(), 0, now.Location())
			}
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q: want a time such as 12:00 or \"2026-01-31 12:00\", or a duration such as 10m", text)
}

// showEvents prints events until there are no more or, to follow, until the command is interrupted. A director that is being
// restarted does not end that.
func showEvents(ctx context.Context, out io.Writer, client *api.Client, filter api.EventFilter, follow bool, output string) error {
	reached := false
	for {
		list, err := client.Events(ctx, filter)
		refusal, refused := errors.AsType[*api.Error](err)
		switch {
		case follow && ctx.Err() != nil:
			return nil
		case refused:
			return &exitError{1, refusal}
		case err != nil && !(follow && reached):
			return unavailable(err)
		}
		reached = true
		for _, e := range list.Events {
			if err := printEvent(out, e, output); err != nil {
				return fmt.Errorf("writing the events: %w", err)
			}
			filter.After = e.ID
		}
		if !follow {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(followInterval):
		}
	}
}

func printEvent(w io.Writer, e api.Event, output string) error {
	if output == "json" {
		return json.NewEncoder(w).Encode(e)
	}
	_, err := fmt.Fprintln(w, eventLine(e))
	return err
}

// eventLine formats an event as a line: time, kind, subject, change, and reason.
func eventLine(e api.Event) string {
	change := cmp.Or(e.To, "-")
	if e.From != "" {
		change = e.From + " -> " + change
	}
	line := fmt.Sprintf("%s  %-8s  %s: %s", e.Time.Local().Format("2006-01-02 15:04:05.000"), e.Kind, plain(e.Subject), plain(change))
	if e.Reason != "" {
		line += " (" + plain(e.Reason) + ")"
	}
	if e.By != "" {
		line += " by " + plain(e.By)
	}
	return line
}
