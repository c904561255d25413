package track

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/script"
)

// counter turns single results into a state.
type counter struct {
	state      State
	rise, fall int
	contrary   int // results in a row that disagree with the state
}

func newCounter(c config.TrackScript) counter {
	return counter{state: map[string]State{"ok": Good, "failed": Bad}[c.Init], rise: c.Rise, fall: c.Fall}
}

// note takes a result. The first one decides where there is no state.
func (c *counter) note(good bool) {
	now, needed := Bad, c.fall
	if good {
		now, needed = Good, c.rise
	}
	switch {
	case c.state == now:
		c.contrary = 0
		return
	case c.state != Unknown:
		if c.contrary++; c.contrary < needed {
			return
		}
	}
	c.state, c.contrary = now, 0
}

// stuckAfter is how long after its timeout a script that cannot be killed counts as failed: it should be gone a second
// after it. Before it is started it may wait as long as its timeout for others.
const stuckAfter = 2 * time.Second

// watchScript runs a script at intervals.
func (t *Tracker) watchScript(ctx context.Context, c config.TrackScript, r *reporter) {
	command := script.Command{Args: c.Command, Shell: c.Shell, User: c.User, Group: c.Group, Timeout: c.Timeout}
	count := newCounter(c)
	notRun := ""
	for {
		began := time.Now()
		ended := make(chan script.Result, 1)
		go func() { ended <- t.Script(ctx, command) }()
		var result script.Result
		late := time.NewTimer(2*c.Timeout + stuckAfter)
		select {
		case result = <-ended:
		case <-late.C:
			count.note(false)
			r.put(ctx, Result{State: count.state, Reason: "cannot be killed after its timeout"})
			result = <-ended
		}
		late.Stop()
		if ctx.Err() != nil {
			return
		}
		count.note(result.OK())
		r.put(ctx, Result{State: count.state, Reason: reasonOf(result)})
		if problem := notRunText(result); problem != notRun {
			if notRun = problem; problem != "" {
				t.Logger.Error("script cannot be run; it counts as failed", "track", r.name, "command", command.String(), "error", problem)
			}
		}
		if !pause(ctx, began.Add(c.Interval)) {
			return
		}
	}
}

func notRunText(r script.Result) string {
	if r.NotRun == nil {
		return ""
	}
	return r.NotRun.Error()
}

// maxLine bounds what is shown of a script's output.
const maxLine = 120

// reasonOf is how a script ended, with the last line of its output if it failed.
func reasonOf(r script.Result) string {
	reason := r.Reason()
	if r.OK() || r.NotRun != nil {
		return reason
	}
	lines := strings.Split(strings.TrimSpace(strings.ToValidUTF8(string(r.Output), "?")), "\n")
	last := strings.TrimSpace(lines[len(lines)-1])
	if last == "" {
		return reason
	}
	if len(last) > maxLine {
		last = strings.ToValidUTF8(last[:maxLine], "") + "…"
	}
	return fmt.Sprintf("%s: %s", reason, last)
}
