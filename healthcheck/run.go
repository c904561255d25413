package healthcheck

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"
)

// flight is one check on its way.
type flight struct {
	*entry
	probe  Probe
	ctx    context.Context
	cancel context.CancelFunc
	life   int // of the entry when the check started
}

// Run probes the targets until ctx ends, and returns when no check is in flight any more. It runs once.
func (s *Scheduler) Run(ctx context.Context) error {
	s.mu.Lock()
	if s.ctx != nil {
		s.mu.Unlock()
		return errors.New("run the health checks: they were run already")
	}
	s.ctx = ctx
	s.spread(s.fresh, time.Now())
	s.fresh = nil
	s.mu.Unlock()
	defer s.flights.Wait()

	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		timer.Reset(s.advance())
		select {
		case <-ctx.Done():
			return nil
		case <-s.wake:
		case <-timer.C:
		}
	}
}

// advance starts what is due and returns how long there is nothing more to do.
func (s *Scheduler) advance() time.Duration {
	s.mu.Lock()
	now := time.Now()
	stall := s.stalls.notice(now)
	if stall > 0 {
		s.spreadDue(now)
	}
	stuck := s.collect(now)
	for {
		f, ok := s.begin(now)
		if !ok {
			break
		}
		s.quiet = now.Add(s.batch)
		s.flights.Go(func() { s.work(f) })
	}
	wait := s.plan(now)
	late, waiting := s.lag(now), s.waiting.len()
	if stall > 0 && !s.stalls.worthSaying(now) {
		stall = 0
	}
	s.mu.Unlock()

	if late > 0 {
		s.log.Warn("health checks run late", "late", late.String(), "waiting", waiting, "limit", s.concurrency)
	}
	if stall > 0 {
		s.log.Warn("this machine stood still; checks that timed out meanwhile do not count", "stalled", stall.String())
	}
	for _, e := range stuck {
		s.overrun(e)
	}
	return wait
}

// plan sets the time of the next wake-up.
func (s *Scheduler) plan(now time.Time) time.Duration {
	next := now.Add(time.Hour)
	if len(s.timers) > 0 {
		next = later(s.timers[0].due, s.quiet)
	}
	if pulse := now.Add(stallAtLeast); s.running > 0 && pulse.Before(next) {
		next = pulse // keeps an eye on the clock while checks are in flight
	}
	s.stalls.planned = next
	return next.Sub(now)
}

// spreadDue spreads what is due like first checks: after a stall that may be everything.
func (s *Scheduler) spreadDue(now time.Time) {
	var due []*entry
	for len(s.timers) > 0 && !s.timers[0].due.After(now) && !s.timers[0].inFlight {
		due = append(due, s.timers[0])
		s.timers.remove(s.timers[0])
	}
	s.spread(due, now)
}

// collect queues what is due, and returns the entries whose check should have ended long ago. Those give up their slot.
func (s *Scheduler) collect(now time.Time) (stuck []*entry) {
	for len(s.timers) > 0 && !s.timers[0].due.After(now) {
		e := s.timers[0]
		if !e.inFlight {
			s.timers.remove(e)
			s.waiting.push(e)
			continue
		}
		e.due = now.Add(e.interval())
		s.timers.set(e)
		if !e.stuck {
			e.stuck = true
			s.running--
			s.stuck++
		}
		stuck = append(stuck, e)
	}
	return stuck
}

// begin starts the check of the entry that has waited longest, if a slot is free.
func (s *Scheduler) begin(now time.Time) (flight, bool) {
	e := s.waiting.first()
	if e == nil || s.running >= s.concurrency || s.ctx.Err() != nil {
		return flight{}, false
	}
	s.waiting.drop()
	s.running++
	e.inFlight, e.started, e.late = true, now, now.Sub(e.due)
	s.late = e.late
	e.due = now.Add(e.timeout() + overrun)
	s.timers.set(e)
	ctx, cancel := context.WithTimeout(s.ctx, e.timeout())
	e.cancel = cancel
	return flight{entry: e, probe: e.probe, ctx: ctx, cancel: cancel, life: e.life}, true
}

// work carries out a check, and then those that wait for its slot.
func (s *Scheduler) work(f flight) {
	for ok := true; ok; {
		r := s.call(f)
		f.cancel()
		f, ok = s.finish(f, r)
	}
}

// call calls the probe. A panic in it is a bad result, since what sets it off is most likely what the server answered.
func (s *Scheduler) call(f flight) (r Result) {
	defer func() {
		if p := recover(); p != nil {
			s.log.Error("health check crashed", "endpoint", f.target.Endpoint, "check", f.target.Spec.Kind,
				"error", fmt.Sprint(p), "stack", string(debug.Stack()))
			r = Result{Detail: "the check itself crashed; see the log"}
		}
	}()
	return f.probe(f.ctx, f.target.Endpoint)
}

// finish takes a result, and hands the slot on to the check that has waited longest, if any.
func (s *Scheduler) finish(f flight, r Result) (next flight, more bool) {
	s.reporting.Lock()
	defer s.reporting.Unlock()
	s.mu.Lock()
	now, e := time.Now(), f.entry
	s.stalls.notice(now)
	wasStuck := e.stuck
	e.inFlight, e.stuck, e.cancel = false, false, nil
	if wasStuck {
		s.stuck--
	} else {
		s.running--
	}
	var event Event
	judged := false
	switch {
	case s.ctx.Err() != nil:
	case e.removed:
		s.timers.remove(e)
		delete(s.entries, e.key)
	case f.life != e.life:
		e.due = now
		s.schedule(e)
	case wasStuck: // judged already
		e.due = e.next(now)
		s.schedule(e)
	default:
		if e.excused = s.stalls.excuses(f, r); e.excused {
			r = Result{Local: true, Detail: "not checked: this machine stood still"}
		}
		event, judged = e.judge(r, now), true
		s.results++
		e.due = e.next(now)
		s.schedule(e)
	}
	next, more = s.begin(now)
	s.mu.Unlock()
	if judged {
		s.report(event)
	}
	return next, more
}

// overrun judges a target whose check does not end: a bad result, once an interval.
func (s *Scheduler) overrun(e *entry) {
	s.reporting.Lock()
	s.mu.Lock()
	if !e.stuck || e.removed || s.ctx.Err() != nil {
		s.mu.Unlock()
		s.reporting.Unlock()
		return
	}
	now := time.Now()
	detail := "the check has not ended " + now.Sub(e.started).Round(time.Millisecond).String() + " after its start"
	event := e.judge(Result{Detail: detail}, now)
	s.results++
	s.mu.Unlock()
	s.report(event)
	s.reporting.Unlock()
	s.log.Error("health check does not end", "endpoint", e.target.Endpoint, "check", e.target.Spec.Kind, "detail", detail)
}

// lag returns how late the longest waiting check is, if that is more than its interval and was not said lately.
func (s *Scheduler) lag(now time.Time) time.Duration {
	e := s.waiting.first()
	if e == nil || now.Sub(e.due) <= e.interval() || now.Sub(s.warned) < warnPause {
		return 0
	}
	s.warned = now
	return now.Sub(e.due)
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}
