package healthcheck

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Options configure a Scheduler.
type Options struct {
	// Report receives every result, one at a time, in the order in which states were computed. It must not block. It may
	// call the scheduler. An event may still arrive just after the Update that removed its target.
	Report func(Event)

	Concurrency int                       // maximum number of concurrent checks; 0 means DefaultConcurrency()
	NewProbe    func(Spec) (Probe, error) // nil means this package's NewProbe
	RunScript   RunScript                 // runs the scripts of checks
	Logger      *slog.Logger              // nil disables logging
}

// Status is a target and its health.
type Status struct {
	Key    string
	Target Target
	Health
}

// Event is one result and the resulting health.
type Event struct {
	Status
	Result  Result
	Changed bool          // the state changed
	Stalled bool          // the result was ignored because the scheduler was stalled
	Took    time.Duration // duration of the check
	Late    time.Duration // delay of the start for lack of a free slot
}

// Stats describes the load of a scheduler.
type Stats struct {
	Targets int
	Running int           // checks in progress
	Waiting int           // targets that are due and waiting for a free slot
	Stuck   int           // probes still running long after their timeout
	Results uint64        // so far
	Stalls  uint64        // times that the scheduler was stalled
	Late    time.Duration // delay of the check that started last
}

// Scheduler probes a set of targets, each at its interval. It has one goroutine that starts checks, one for the event loop,
// and one for each check in progress that is not a quick one; an idle target is an entry in a heap.
type Scheduler struct {
	report      func(Event)
	concurrency int
	newProbe    func(Spec) (Probe, error)
	own         bool // the probes are this package's: the event loop runs those that it can
	loop        loop
	log         *slog.Logger

	wake      chan struct{}
	flights   sync.WaitGroup
	updating  sync.Mutex // one Update at a time
	reporting sync.Mutex // one report at a time; taken before mu

	mu      sync.Mutex
	ctx     context.Context // of Run; nil before
	began   time.Time       // times below are relative to it
	entries map[string]*entry
	fresh   []*entry // to be spread when Run starts
	timers  timers
	waiting queue         // entries that are due and need a goroutine
	quicks  queue         // entries that are due and do not
	quiet   time.Duration // Run does not wake up earlier
	batch   time.Duration
	stalls  stalls
	warned  time.Duration
	running int
	slow    int // of those running, with a goroutine
	limit   int // of slow
	lag     lag
	stuck   int
	results uint64
	late    time.Duration
	kinds   map[Kind]*KindFigures
	watcher watcher
}

// maxConcurrency bounds the concurrent checks, regardless of the limit on open files.
const maxConcurrency = 4096

// DefaultConcurrency returns half of this process's limit on open files, at most 4,096.
func DefaultConcurrency() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return maxConcurrency
	}
	return int(max(1, min(limit.Cur/2, maxConcurrency)))
}

// NewScheduler returns a scheduler without targets.
func NewScheduler(o Options) *Scheduler {
	s := &Scheduler{
		report:      o.Report,
		concurrency: o.Concurrency,
		newProbe:    o.NewProbe,
		log:         o.Logger,
		wake:        make(chan struct{}, 1),
		began:       time.Now(),
		entries:     map[string]*entry{},
		kinds:       map[Kind]*KindFigures{},
	}
	s.watcher.changed = s.hurry
	s.loop.done, s.loop.safely = s.landed, s.call
	if s.report == nil {
		s.report = func(Event) {}
	}
	if s.concurrency <= 0 {
		s.concurrency = DefaultConcurrency()
	}
	if s.newProbe == nil {
		s.newProbe = func(spec Spec) (Probe, error) { return newProbe(spec, o.RunScript) }
		s.own = true
	}
	if s.limit = s.concurrency; s.own {
		s.limit = min(s.limit, firstSlow)
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	return s
}

// Update replaces the set of targets. Targets that remain keep their state and schedule. Checks of removed targets are
// cancelled, and their results are not reported. New targets are checked immediately, spread over a short time.
//
// The error lists the specs whose probe could not be created. Their targets have no result, or keep their old probe, until
// the cause is resolved.
func (s *Scheduler) Update(targets []Target) error {
	s.updating.Lock()
	defer s.updating.Unlock()
	probes, err := s.compile(targets)

	s.mu.Lock()
	defer s.mu.Unlock()
	s.batch = min(maxBatch, time.Duration(len(targets))*batchPerTarget)
	wanted := make(map[string]bool, len(targets))
	var fresh []*entry
	for i, t := range targets {
		key := t.Key()
		if wanted[key] {
			continue
		}
		wanted[key] = true
		e := s.entries[key]
		if e == nil {
			e = &entry{key: key, target: t.canonical(), index: -1, count: s.kindOf(t.Spec.Kind())}
			if w, ok := t.Spec.Check.(Watched); ok {
				e.file = w.WatchedFile(e.target.Endpoint)
			}
			s.entries[key] = e
			fresh = append(fresh, e)
		} else if e.removed {
			e.removed, e.probed, e.health = false, false, Health{}
			e.life++
		}
		s.batch = min(s.batch, e.interval()/batchPart, e.retry()/batchPart)
		if p := probes[i]; p.err == nil || e.probe == nil {
			e.probe, e.quick = p.probe, p.quick
		}
	}
	for key, e := range s.entries {
		if !wanted[key] {
			s.remove(e)
		}
	}
	if s.ctx == nil {
		s.fresh = append(s.fresh, fresh...)
	} else {
		s.spread(fresh, s.now())
	}
	return err
}

// built is a probe, or one that reports why it could not be created.
type built struct {
	probe Probe
	quick *quick // nil if the event loop cannot run it
	err   error
}

// compile creates the probe of each target; targets with equal specs share one.
func (s *Scheduler) compile(targets []Target) ([]built, error) {
	probes := make([]built, len(targets))
	shared := map[[16]byte]built{}
	var errs []error
	for i, t := range targets {
		spec := t.canonical().Spec
		id := spec.identity()
		b, ok := shared[id]
		if !ok {
			b.probe, b.err = s.newProbe(spec)
			if b.err != nil {
				b.probe = s.retry(spec)
				errs = append(errs, fmt.Errorf("%s: %w", t, b.err))
			} else if s.own {
				b.quick = newQuick(spec)
			}
			shared[id] = b
		}
		probes[i] = b
	}
	return probes, errors.Join(errs...)
}

// retry returns a probe that tries to create the spec's probe on each check, for example after a file was missing.
func (s *Scheduler) retry(spec Spec) Probe {
	return func(ctx context.Context, server netip.AddrPort) Result {
		probe, err := s.newProbe(spec)
		if err != nil {
			return notChecked(err.Error())
		}
		return probe(ctx, server)
	}
}

func (s *Scheduler) now() time.Duration { return time.Since(s.began) }

// spread sets the times of first checks.
func (s *Scheduler) spread(fresh []*entry, now time.Duration) {
	for i, e := range fresh {
		if !e.removed {
			e.due = now + spread(i, len(fresh), e.interval())
			s.schedule(e)
		}
	}
}

// schedule adds an entry to the timers, and wakes Run if the entry is due before the next wake-up.
func (s *Scheduler) schedule(e *entry) {
	s.timers.set(e, e.due)
	if at := max(e.due, s.quiet); at < s.stalls.planned {
		s.stalls.planned = at
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}

// remove removes an entry. If its check is in progress, the entry is removed when the check ends, so that a target that is
// added again is never probed twice at a time.
func (s *Scheduler) remove(e *entry) {
	if e.removed {
		return
	}
	e.removed = true
	if e.inFlight {
		e.ctx.cancel()
		return
	}
	s.timers.remove(e)
	delete(s.entries, e.key)
}

// Snapshot lists all targets and their health, sorted by key.
func (s *Scheduler) Snapshot() []Status {
	s.mu.Lock()
	list := make([]Status, 0, len(s.entries))
	for _, e := range s.entries {
		if !e.removed {
			list = append(list, e.status())
		}
	}
	s.mu.Unlock()
	slices.SortFunc(list, func(a, b Status) int { return strings.Compare(a.Key, b.Key) })
	return list
}

// Stats returns the load of the scheduler.
func (s *Scheduler) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Stats{Running: s.running, Stuck: s.stuck, Results: s.results, Stalls: s.stalls.count, Late: s.late}
	for _, e := range s.entries {
		if !e.removed {
			st.Targets++
		}
	}
	for _, q := range []*queue{&s.waiting, &s.quicks} {
		q.first() // skips removed entries at the front
		st.Waiting += q.len()
	}
	return st
}
