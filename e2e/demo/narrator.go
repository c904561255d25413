package main

import (
	"context"
	"fmt"
	"io"
	"time"
)

// narrator prints events with the elapsed time, and a summary at the end.
type narrator struct {
	out     io.Writer
	began   time.Time
	results []result
}

type result struct {
	title, text string
	err         error
}

func newNarrator(out io.Writer) *narrator { return &narrator{out: out, began: time.Now()} }

func (n *narrator) say(format string, args ...any) {
	fmt.Fprintf(n.out, "%6.1fs  %s\n", time.Since(n.began).Seconds(), fmt.Sprintf(format, args...))
}

// progressAfter is how long a step may run without output.
const progressAfter = 3 * time.Second

// step runs one step and records its result. A long step prints its progress.
func (n *narrator) step(ctx context.Context, title string, do func(context.Context) (string, error)) error {
	n.say("%s", title)
	began := time.Now()
	done := make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(progressAfter)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				n.say("  … %.0f s", time.Since(began).Seconds())
			case <-done:
				return
			}
		}
	}()
	text, err := do(ctx)
	close(done)
	<-stopped
	if err != nil {
		n.say("  FAILED: %v", err)
	} else {
		n.say("  %s", text)
	}
	n.results = append(n.results, result{title, text, err})
	return err
}

func (n *narrator) summary() {
	fmt.Fprintf(n.out, "\nSummary, after %.0f seconds\n", time.Since(n.began).Seconds())
	for _, r := range n.results {
		if r.err != nil {
			fmt.Fprintf(n.out, "  FAILED  %s: %v\n", r.title, r.err)
			continue
		}
		fmt.Fprintf(n.out, "  ok      %s: %s\n", r.title, r.text)
	}
}
