package healthcheck

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"
)

// flight is one check in progress.
type flight struct {
	*entry
	probe Probe
	quick *quick
	ctx   *deadline
	life  int // of the entry when the check started
}

// Run probes the targets until ctx ends, and returns once no check is in progress. It must be called only once.
func (s *Scheduler) Run(ctx context.Context) error {
	s.mu.Lock()
	if s.ctx != nil {
		s.mu.Unlock()
		return errors.New("run health checks: already started")
	}
	s.ctx = ctx
	s.spread(s.fresh, s.now())
	s.fresh = nil
	s.mu.Unlock()
	defer s.watcher.close()
	defer s.loop.close()
	defer s.flights.Wait()
	defer s.cancelAll()

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

// cancelAll cancels the contexts of all checks in progress.
func (s *Scheduler) cancelAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.entries {
		if e.inFlight {
			e.ctx.cancel()
		}
	}
}

// advance starts the checks that are due and returns the time until the next action.
func (s *Scheduler) advance() time.Duration {
	s.mu.Lock()
	now := s.now()
	stall := s.stalls.notice(now)
	if stall > 0 {
		s.spreadDue(now)
	}
	s.adapt(now)
	stuck := s.collect(now)
	for f, ok := s.next(now); ok; f, ok = s.next(now) {
		s.quiet = now + s.batch
		s.launch(f)
	}
	wait := s.plan(now)
	warn := s.complaint(now, stall)
	s.mu.Unlock()

	warn()
	for _, e := range stuck {
		s.overrun(e)
	}
	return wait
}

// collect queues the entries that are due, and returns those whose check is long overdue, after freeing their slots.
func (s *Scheduler) collect(now time.Duration) (stuck []*entry) {
	for len(s.timers) > 0 && s.timers[0].due <= now {
		e := s.timers[0].entry
		if !e.inFlight {
			s.timers.remove(e)
			e.slow = e.quick == nil
			s.queueOf(e).push(e)
			continue
		}
		if limit := max(e.started, s.stalls.until) + e.timeout() + overrun; now < limit {
			s.timers.set(e, limit)
			continue
		}
		s.timers.set(e, now+e.interval())
		if !e.stuck {
			s.land(e)
			e.stuck = true
			s.stuck++
		}
		stuck = append(stuck, e)
	}
	return stuck
}

// next starts the check of the entry that has waited longest, if a slot is free.
func (s *Scheduler) next(now time.Duration) (flight, bool) {
	e := s.first()
	if e == nil || s.ctx.Err() != nil {
		return flight{}, false
	}
	s.queueOf(e).drop()
	s.running++
	f := flight{entry: e, probe: e.probe, life: e.life}
	if e.slow {
		s.slow++
	} else {
		f.quick = e.quick
	}
	e.begin(now)
	s.late = e.late
	s.timers.set(e, e.due)
	e.ctx = &deadline{Context: s.ctx, at: s.began.Add(now + e.timeout())}
	f.ctx = e.ctx
	return f, true
}

// queueOf is the queue in which an entry waits for a free slot.
func (s *Scheduler) queueOf(e *entry) *queue {
	if e.slow {
		return &s.waiting
	}
	return &s.quicks
}

// first returns the entry that has waited longest of those for which a slot is free, or nil.
func (s *Scheduler) first() *entry {
	if s.running >= s.concurrency {
		return nil
	}
	e := s.quicks.first()
	if s.slow >= s.limit {
		return e
	}
	if slow := s.waiting.first(); e == nil || slow != nil && slow.due < e.due {
		return slow
	}
	return e
}

// land frees the slot of a check.
func (s *Scheduler) land(e *entry) {
	s.running--
	if e.slow {
		s.slow--
	}
}

// plan sets the time of the next wake-up.
func (s *Scheduler) plan(now time.Duration) time.Duration {
	next := now + time.Hour
	if len(s.timers) > 0 {
		next = max(s.timers[0].due, s.quiet)
	}
	if s.running > 0 { // to detect stalls
		next = min(next, now+stallAtLeast)
	}
	s.stalls.planned = next
	return next - now
}

// spreadDue spreads the due checks like first checks: after a stall, all of them may be due.
func (s *Scheduler) spreadDue(now time.Duration) {
	var due []*entry
	for len(s.timers) > 0 && s.timers[0].due <= now && !s.timers[0].inFlight {
		e := s.timers[0].entry
		due = append(due, e)
		s.timers.remove(e)
	}
	s.spread(due, now)
}

// complaint returns a function that logs that the scheduler is late, unless that was logged less than warnPause ago.
func (s *Scheduler) complaint(now, stall time.Duration) func() {
	var late time.Duration
	for _, q := range []*queue{&s.waiting, &s.quicks} {
		if e := q.first(); e != nil && now-e.due > e.interval()/2 {
			late = max(late, now-e.due)
		}
	}
	if late+stall == 0 || s.warned != 0 && now-s.warned < warnPause {
		return func() {}
	}
	s.warned = now
	waiting, limit := s.waiting.len()+s.quicks.len(), min(s.concurrency, s.limit)
	return func() {
		if stall > 0 {
			s.log.Warn("scheduler stalled; ignoring timeouts during the stall", "stalled", stall.String())
		}
		if late > 0 {
			s.log.Warn("health checks run late", "late", late.String(), "waiting", waiting, "limit", limit)
		}
	}
}

// launch runs a check on the event loop, or else in a goroutine.
func (s *Scheduler) launch(f flight) {
	if f.quick != nil && s.loop.open() {
		s.flights.Add(1)
		s.loop.add(f)
		return
	}
	s.flights.Go(func() { s.work(f) })
}

// work runs a check, and then those that wait for its slot.
func (s *Scheduler) work(f flight) {
	f.ctx.start(time.Until(f.ctx.at))
	r := s.call(f, func() Result { return f.probe(f.ctx, f.target.Endpoint) })
	f.ctx.cancel()
	if next, ok := s.finish(f, r); ok {
		s.launch(next)
	}
}

// landed takes the result of a check that the event loop ran.
func (s *Scheduler) landed(f flight, r Result) {
	defer s.flights.Done()
	if next, ok := s.finish(f, r); ok {
		s.launch(next)
	}
}

// call calls the probe. A panic is a bad result: the most likely cause is the server's response.
func (s *Scheduler) call(f flight, probe func() Result) (r Result) {
	defer func() {
		if p := recover(); p != nil {
			s.log.Error("health check crashed", "endpoint", f.target.Endpoint, "check", f.target.Spec.Kind(),
				"error", fmt.Sprint(p), "stack", string(debug.Stack()))
			r = Result{Reason: Crashed, Detail: "the check itself crashed; see the log"}
		}
	}()
	if f.file != "" {
		s.watcher.watch(f.file) // before the file is read
	}
	return probe()
}

// finish records a result and uses the free slot for the check that has waited longest, if any.
func (s *Scheduler) finish(f flight, r Result) (next flight, more bool) {
	s.reporting.Lock()
	defer s.reporting.Unlock()
	s.mu.Lock()
	now, e := s.now(), f.entry
	s.stalls.notice(now)
	counts := f.life == e.life && !e.removed && !e.stuck && s.ctx.Err() == nil
	if e.stuck {
		s.stuck--
	} else {
		s.land(e)
	}
	e.inFlight, e.stuck, e.ctx = false, false, nil
	var event Event
	if counts {
		if e.excused = s.stalls.ignores(f, r); e.excused {
			r = notChecked("scheduler stalled")
		}
		event = e.record(r, now-e.started)
		event.Stalled = e.excused
		e.count.add(r, now-e.started, e.late)
		s.results++
	} else {
		e.due = now
	}
	if e.removed {
		s.timers.remove(e)
		delete(s.entries, e.key)
	} else {
		if counts && e.retry() != e.interval() && e.inDoubt() {
			e.due = e.started + pause(e.retry(), e.target.Spec.Jitter, false)
			s.schedule(e)
		}
		if e.due <= now {
			e.due = now
			s.schedule(e)
		}
	}
	next, more = s.next(now)
	s.mu.Unlock()
	if counts {
		s.report(event)
	}
	return next, more
}

// overrun records a bad result once per interval for a target whose check does not end.
func (s *Scheduler) overrun(e *entry) {
	s.reporting.Lock()
	s.mu.Lock()
	if !e.stuck || e.removed || s.ctx.Err() != nil {
		s.mu.Unlock()
		s.reporting.Unlock()
		return
	}
	since := s.now() - e.started
	detail := "the check has not ended " + since.Round(time.Millisecond).String() + " after its start"
	result := Result{Reason: Crashed, Detail: detail}
	event := e.record(result, since)
	e.count.add(result, since, 0)
	s.results++
	s.mu.Unlock()
	s.report(event)
	s.reporting.Unlock()
	s.log.Error("health check does not end", "endpoint", e.target.Endpoint, "check", e.target.Spec.Kind(), "detail", detail)
}
