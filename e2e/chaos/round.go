package chaos

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/lvs-ha/lvs-ha/e2e/scene"
	"github.com/lvs-ha/lvs-ha/internal/lab"
)

// processVariables sets the shell variables for a trouble. If there are two speakers, the older one is the active one; its
// process ID may be the larger one.
const processVariables = `config=` + configPath + ` run= director= speaker= spare= all=
for p in $(ps -C lvs-ha -o pid= --sort=start_time); do
	[ "$(readlink /proc/$p/ns/net)" = "$(readlink /proc/self/ns/net)" ] || continue
	all="$p $all"
	case "$(tr '\0' ' ' </proc/$p/cmdline)" in
	*" run "*) run=$p ;;
	*" director "*) director=$p ;;
	*" speaker "*) if [ -z "$speaker" ]; then speaker=$p; else spare=$p; fi ;;
	esac
done
`

// recoveryLimit is the time after which a round is given up.
const recoveryLimit = time.Minute

const (
	probeEvery    = 20 * time.Millisecond
	probeDeadline = 500 * time.Millisecond
)

// Result is the outcome of a round.
type Result struct {
	Schedule Schedule
	Seen     Budget
	Allowed  Budget
	Stalled  time.Duration // the longest stall of a machine during the round
	Broken   []string
	Lost     bool   // the pair did not recover and needs a power cycle
	Log      string // warnings and errors of the directors, if a budget was exceeded
}

// Play plays a round and checks it.
func (p *Pair) Play(ctx context.Context, s Schedule) (r Result) {
	r = Result{Schedule: s}
	p.rivals.forget()
	for i, d := range p.Directors {
		p.seen[i].forget()
		d.ForgetLog()
	}
	probe, err := p.Client.Probe(ctx, lab.ProbeConfig{Network: "tcp", Address: scene.VIP + ":80", Every: probeEvery, Deadline: probeDeadline})
	if err != nil {
		r.Broken, r.Lost = []string{err.Error()}, true
		return r
	}
	from := time.Now()
	lasted, err := p.happen(ctx, s)
	over := time.Now()
	limited, cancel := context.WithTimeout(ctx, recoveryLimit)
	defer cancel()
	right, wrong := over, ""
	if err == nil {
		right, wrong = p.recovered(limited)
	}
	// Wait for the response to the last request or its timeout.
	_ = pause(ctx, probeDeadline)
	report := probe.Stop()

	states := make([][]state, len(p.seen))
	for i := range p.seen {
		var answers []answer
		var stall time.Duration
		states[i], answers, stall = p.seen[i].copy()
		r.Seen.API = max(r.Seen.API, longestSilence(answers, right))
		r.Stalled = max(r.Stalled, stall)
	}
	seen := judgeStates(states, len(allHeld), from, right)
	seen.API, seen.Outage, seen.Recovery = r.Seen.API, report.Longest, right.Sub(over)
	seen.Overlap = max(seen.Overlap, p.rivals.longest())
	r.Seen = seen
	r.Allowed = allowed(s, lasted)
	r.Broken = r.Seen.over(r.Allowed, r.Stalled)
	if err != nil {
		r.Broken, r.Lost = append(r.Broken, err.Error()), true
	}
	if wrong != "" {
		r.Broken, r.Lost = append(r.Broken, fmt.Sprintf("after %v not right: %s", recoveryLimit, wrong)), true
	}
	if len(r.Broken) > 0 {
		r.Log = p.log()
	}
	return r
}

// allowed adds up the budgets of the troubles. If both directors are affected, there may be none to take over; then only what
// neither of them may do is checked.
func allowed(s Schedule, lasted []time.Duration) (b Budget) {
	hurt := map[string]bool{}
	for i, step := range s {
		b = b.plus(step.Trouble.lasting(lasted[i]))
		if step.Trouble.Budget != smooth {
			hurt[step.Director] = true
		}
	}
	if len(hurt) > 1 {
		b.NoHolder, b.Overlap, b.Table, b.Outage = recoveryLimit, recoveryLimit, recoveryLimit, recoveryLimit
	}
	return b
}

// happen starts the troubles with their pauses, and ends them. It returns how long each of them lasted.
func (p *Pair) happen(ctx context.Context, s Schedule) (lasted []time.Duration, err error) {
	lasted = make([]time.Duration, len(s))
	began := make([]time.Time, len(s))
	undo := make([]func() error, 0, len(s))
	for i, step := range s {
		began[i] = time.Now()
		end, err := p.begin(ctx, step)
		if end != nil {
			undo = append(undo, end)
		}
		if err != nil {
			return lasted, fmt.Errorf("%s on %s: %w", step.Trouble.Name, step.Director, err)
		}
		if err := pause(ctx, step.Pause); err != nil {
			return lasted, err
		}
	}
	var errs []error
	for i, end := range undo {
		if err := end(); err != nil {
			errs = append(errs, fmt.Errorf("the end of %s on %s: %w", s[i].Trouble.Name, s[i].Director, err))
		}
		lasted[i] = time.Since(began[i])
	}
	return lasted, errors.Join(errs...)
}

// begin starts a trouble and returns the function that ends it.
func (p *Pair) begin(ctx context.Context, step Step) (end func() error, err error) {
	t := step.Trouble
	i := 0
	if step.Director == p.Directors[1].Name() {
		i = 1
	}
	d := p.Directors[i]
	switch {
	case t.Power:
		err := d.Kill()
		p.seen[i].off(time.Now())
		return func() error {
			if err := d.PowerOn(ctx); err != nil {
				return err
			}
			return p.watch(i)
		}, err
	case t.Cable != "":
		c := cable{d.Name(), t.Cable}
		return func() error { return p.plug(c) }, p.unplug(c)
	}
	variables, err := shell(ctx, d, processVariables+`echo "config=$config run=$run director=$director speaker=$speaker spare=$spare all='$all'"`+"\n"+t.Begin)
	if err != nil {
		return nil, err
	}
	variables, _, _ = strings.Cut(variables, "\n") // the command may have printed more
	if t.Again == AtOnce {
		if err := d.Run(ctx); err != nil {
			return nil, err
		}
	}
	return func() error {
		if t.End != "" {
			if _, err := shell(ctx, d, variables+"\n"+t.End); err != nil {
				return err
			}
		}
		// A start that found the old process still running may have exited; a service manager would start it again.
		if t.Again == AtEnd || t.Again == AtOnce && d.Ended() {
			return p.startAgain(ctx, d)
		}
		return nil
	}, nil
}

// startAgain starts lvs-ha once the stopped or killed one has exited.
func (p *Pair) startAgain(ctx context.Context, d *scene.Director) error {
	_, err := shell(ctx, d, "for i in $(seq 100); do\n"+processVariables+"[ -z \"$all\" ] && exit 0\nsleep 0.1\ndone\necho still running after 10 s: $all >&2\nexit 1")
	if err != nil {
		return err
	}
	return d.Run(ctx)
}

func shell(ctx context.Context, d *scene.Director, script string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	r, err := d.Exec(ctx, "sh", "-c", script)
	if err == nil && r.ExitCode != 0 {
		err = fmt.Errorf("exit status %d: %s", r.ExitCode, strings.TrimSpace(string(r.Stderr)))
	}
	return strings.TrimSpace(string(r.Stdout)), err
}

// log returns the directors' warnings and errors of this round.
func (p *Pair) log() string {
	const most, width = 15, 260
	var out strings.Builder
	for _, d := range p.Directors {
		lines := 0
		for line := range strings.Lines(d.Log()) {
			if strings.Contains(line, " level=INFO ") && !strings.Contains(line, "state changed") {
				continue
			}
			if lines++; lines > most {
				fmt.Fprintf(&out, "    %s: …\n", d.Name())
				break
			}
			line = strings.TrimSpace(line)
			fmt.Fprintf(&out, "    %s: %s\n", d.Name(), line[:min(len(line), width)])
		}
	}
	return out.String()
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
