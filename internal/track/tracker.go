package track

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/script"
)

// Options are what a Tracker works with.
type Options struct {
	// Report is called for each result that differs from the one before, by several goroutines. It must not block.
	Report func(name string, r Result)
	// Script runs a script to its end, within its timeout if that can be.
	Script func(context.Context, script.Command) script.Result
	Logger *slog.Logger

	proc string // "/proc" where it is not set
}

// Tracker watches the tracks of a configuration: a goroutine each, which keeps its state over changes of its parameters.
type Tracker struct {
	Options
	processes *processes
	started   chan struct{} // closed by Run

	mu      sync.Mutex
	ctx     context.Context // of Run; nil before
	ended   bool            // Update begins nothing any more
	watches map[key]*watch
	running sync.WaitGroup
}

// key is what makes a track the same after a reload.
type key struct{ name, kind string }

// watch is a track that is watched. Its goroutine takes the parameters from the channel, which has room for one.
type watch struct {
	parameters chan config.Track
	cancel     context.CancelFunc
}

// New returns a Tracker. It watches nothing before Run.
func New(o Options) *Tracker {
	if o.proc == "" {
		o.proc = procDir
	}
	return &Tracker{Options: o, processes: &processes{dir: o.proc}, watches: map[key]*watch{}, started: make(chan struct{})}
}

// Run watches until ctx ends, and until what it has started has ended.
func (t *Tracker) Run(ctx context.Context) {
	t.mu.Lock()
	t.ctx = ctx
	t.mu.Unlock()
	close(t.started)
	<-ctx.Done()
	t.mu.Lock()
	t.ended = true
	t.mu.Unlock()
	t.running.Wait()
}

// Update replaces the tracks. One that is watched already goes on from its last result, with its new parameters; if they
// have not changed, nothing happens to it. It does not block.
func (t *Tracker) Update(tracks []config.Track) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended {
		return
	}
	gone := t.watches
	t.watches = make(map[key]*watch, len(tracks))
	fresh := 0
	for _, one := range tracks {
		k := key{one.Name, kind(one)}
		old, ok := gone[k]
		delete(gone, k)
		if ok {
			select { // in place of parameters that it has not taken yet
			case <-old.parameters:
			default:
			}
			old.parameters <- one
			t.watches[k] = old
			continue
		}
		t.watches[k] = t.begin(one, fresh)
		fresh++
	}
	for _, old := range gone {
		old.cancel()
	}
}

func kind(t config.Track) string {
	switch {
	case t.Script != nil:
		return "script"
	case t.File != nil:
		return "file"
	case t.Process != nil:
		return "process"
	}
	return ""
}

// startSpacing is the pause between the first runs of scripts that are new at the same time: 200 start within a second.
const startSpacing = 5 * time.Millisecond

// begin watches a track that is the nth new one.
func (t *Tracker) begin(one config.Track, nth int) *watch {
	ctx, cancel := context.WithCancel(context.Background())
	w := &watch{parameters: make(chan config.Track, 1), cancel: cancel}
	w.parameters <- one
	t.running.Go(func() {
		defer cancel()
		select {
		case <-t.started:
		case <-ctx.Done():
			return
		}
		stop := context.AfterFunc(t.ctx, cancel)
		defer stop()
		report := changes(func(r Result) {
			if ctx.Err() == nil {
				t.Report(one.Name, r)
			}
		})
		log := t.Logger.With("track", one.Name)
		switch {
		case one.Script != nil:
			s := scriptWatch{run: t.Script, report: report, log: log, delay: time.Duration(nth) * startSpacing}
			s.watch(ctx, w.parameters)
		case one.File != nil:
			f := fileWatch{report: report, log: log}
			f.watch(ctx, w.parameters)
		case one.Process != nil:
			p := processWatch{report: report, table: t.processes}
			p.watch(ctx, w.parameters)
		}
	})
	return w
}

// changes leaves out results that are as the one before.
func changes(report func(Result)) func(Result) {
	var last Result
	return func(r Result) {
		if r != last {
			last = r
			report(r)
		}
	}
}
