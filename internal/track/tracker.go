package track

import (
	"context"
	"log/slog"
	"reflect"
	"sync"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/script"
)

// Options configure a Tracker.
type Options struct {
	Report func(name string, r Result)                               // called for each result that differs from the one before; it does not block
	Script func(ctx context.Context, c script.Command) script.Result // runs a command
	Logger *slog.Logger

	proc string // "/proc" where it is not set
}

// Tracker watches the tracks of a configuration.
type Tracker struct {
	Options
	processes *processes

	mu      sync.Mutex
	running context.Context // nil: not yet
	watches map[string]*watch
	wg      sync.WaitGroup
}

// watch is a track that is being watched.
type watch struct {
	track config.Track
	stop  context.CancelFunc
}

// New returns a tracker; Run makes it work.
func New(o Options) *Tracker {
	if o.proc == "" {
		o.proc = "/proc"
	}
	return &Tracker{Options: o, processes: &processes{dir: o.proc}, watches: map[string]*watch{}}
}

// stopTimeout is how long Run waits for scripts, which have a second after SIGTERM.
const stopTimeout = 1500 * time.Millisecond

// Run watches until ctx ends.
func (t *Tracker) Run(ctx context.Context) {
	t.mu.Lock()
	t.running = ctx
	for _, w := range t.watches {
		t.start(w)
	}
	t.mu.Unlock()
	<-ctx.Done()
	ended := make(chan struct{})
	go func() {
		t.mu.Lock() // after an Update that has just started one
		defer t.mu.Unlock()
		t.wg.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(stopTimeout): // a file system does not answer
	}
}

// Update replaces the tracks. Those that did not change are not touched. A changed one has no initial state: its last
// result counts until the first new one.
func (t *Tracker) Update(tracks []config.Track) {
	t.mu.Lock()
	defer t.mu.Unlock()
	kept := map[string]*watch{}
	for _, track := range tracks {
		former := t.watches[track.Name]
		if former != nil && reflect.DeepEqual(former.track, track) {
			kept[track.Name] = former
			continue
		}
		w := &watch{track: track}
		if former != nil && former.track.Script != nil && track.Script != nil {
			unset := *track.Script
			unset.Init = ""
			w.track.Script = &unset
		}
		kept[track.Name] = w
	}
	for name, w := range t.watches {
		if kept[name] != w && w.stop != nil {
			w.stop()
		}
	}
	t.watches = kept
	if t.running == nil || t.running.Err() != nil {
		return
	}
	for _, w := range kept {
		if w.stop == nil {
			t.start(w)
		}
	}
}

func (t *Tracker) start(w *watch) {
	var ctx context.Context
	ctx, w.stop = context.WithCancel(t.running)
	r := reporter{name: w.track.Name, report: t.Report}
	t.wg.Go(func() {
		switch {
		case w.track.Script != nil:
			t.watchScript(ctx, *w.track.Script, &r)
		case w.track.File != nil:
			watchFile(ctx, w.track.File.Path, &r)
		case w.track.Process != nil:
			t.watchProcess(ctx, *w.track.Process, &r)
		}
	})
}

// reporter reports results that differ from the one before.
type reporter struct {
	name   string
	last   Result
	report func(name string, r Result)
}

func (p *reporter) put(ctx context.Context, r Result) {
	if ctx.Err() != nil {
		return
	}
	r.Since = p.last.Since
	if r.State != p.last.State || r.Number != p.last.Number {
		r.Since = time.Now()
	}
	if r != p.last {
		p.last = r
		p.report(p.name, r)
	}
}

// pause waits until a moment. It is false when ctx has ended.
func pause(ctx context.Context, until time.Time) bool {
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
