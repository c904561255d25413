package track

import (
	"context"
	"log/slog"
	"reflect"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/script"
)

// scriptWatch runs a script at its interval, at most once at a time.
type scriptWatch struct {
	run    func(context.Context, script.Command) script.Result
	report func(Result)
	log    *slog.Logger
	delay  time.Duration // before the first run

	parameters config.TrackScript
	verdict    verdict
	complaint  string // the logged reason why the script does not run
	leftover   bool   // leftover processes have been logged
	text       string // quote of the output, reported with the last reason
}

// scriptRun is one run of a script.
type scriptRun struct {
	done     chan script.Result
	cancel   context.CancelFunc
	late     <-chan time.Time // its timeout; a script that cannot be killed counts as failed too
	counted  bool             // its result or timeout has been counted, or it must not count
	replaced bool             // the parameters have changed since its start
}

// watch runs the script until ctx has ended and the last run is over.
func (s *scriptWatch) watch(ctx context.Context, parameters <-chan config.Track) {
	first := <-parameters
	s.change(*first.Script)
	var current *scriptRun
	next := time.NewTimer(s.delay)
	defer next.Stop()
	for {
		var done chan script.Result
		var late <-chan time.Time
		if current != nil {
			done, late = current.done, current.late
		}
		select {
		case <-ctx.Done():
			current.stop()
			return
		case t := <-parameters:
			switch {
			case !s.change(*t.Script):
			case current == nil:
				next.Reset(0)
			default:
				next.Reset(s.parameters.Interval)
				current.counted, current.replaced = true, true
				current.cancel()
			}
		case <-next.C:
			next.Reset(s.parameters.Interval)
			switch {
			case current == nil:
				current = s.start(ctx)
			case current.counted:
				s.note(false, script.TimedOut(s.parameters.Timeout), "") // it cannot be killed
			}
		case <-late:
			current.late = nil
			if !current.counted {
				current.counted = true
				s.note(false, script.TimedOut(s.parameters.Timeout), "")
			}
		case r := <-done:
			current.cancel()
			switch {
			case current.replaced:
				next.Reset(0)
			case !current.counted:
				s.take(r)
			}
			current = nil
		}
	}
}

// stopPatience is how long to wait for a script at the end: longer than package script needs to kill it. A script that is
// blocked by an unresponsive file system cannot be killed.
const stopPatience = 3 * time.Second

// stop ends a run.
func (r *scriptRun) stop() {
	if r == nil {
		return
	}
	r.cancel()
	select {
	case <-r.done:
	case <-time.After(stopPatience):
	}
}

// change reports whether the parameters have changed. A change of the initial state does not count for a track that has a
// state.
func (s *scriptWatch) change(p config.TrackScript) bool {
	same := s.parameters
	same.Init = p.Init
	if reflect.DeepEqual(same, p) {
		return false
	}
	s.parameters = p
	s.verdict.rise, s.verdict.fall = p.Rise, p.Fall
	s.verdict.streak = 0
	switch p.Init {
	case "ok":
		s.verdict.begin(Good, time.Now())
	case "failed":
		s.verdict.begin(Bad, time.Now())
	}
	return true
}

func (s *scriptWatch) start(ctx context.Context) *scriptRun {
	p := s.parameters
	run := &scriptRun{done: make(chan script.Result, 1), late: time.After(p.Timeout)}
	ctx, run.cancel = context.WithCancel(ctx)
	go func() {
		run.done <- s.run(ctx, script.Command{Args: p.Command, Shell: p.Shell, User: p.User, Group: p.Group, Timeout: p.Timeout})
	}()
	return run
}

// take counts the result of a run.
func (s *scriptWatch) take(r script.Result) {
	if r.NotRun == nil {
		s.complaint = ""
	} else if reason := r.Reason(); reason != s.complaint {
		s.complaint = reason
		s.log.Error("track script cannot run; it counts as failed", "error", reason)
	}
	if r.Leftover && !s.leftover {
		s.leftover = true
		s.log.Warn("track script left processes behind; killed", "command", script.Command{Args: s.parameters.Command, Shell: s.parameters.Shell}.String())
	}
	quote := ""
	if !r.OK() {
		quote = r.Quote()
	}
	s.note(r.OK(), r.Reason(), quote)
}

// note reports a result, with a quote of the output. The quote stays the same as long as the rest of the result does:
// otherwise the result of a script that prints the time would change with each run.
func (s *scriptWatch) note(good bool, reason, text string) {
	before := s.verdict.result
	r := s.verdict.note(good, reason, time.Now())
	if r != before {
		s.text = text
	}
	if s.text != "" {
		r.Reason += ": " + s.text
	}
	s.report(r)
}
