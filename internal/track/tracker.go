package track

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/script"
)

// Options are the options of a Tracker.
type Options struct {
	// Report is called for each result that differs from the previous one, from several goroutines. It must not block.
	Report func(name string, r Result)
	// Script runs a script and returns within the script's timeout if possible.
	Script func(context.Context, script.Command) script.Result
	Logger *slog.Logger

	proc string // defaults to "/proc"
}

// Tracker monitors the tracks of a configuration. Each has a goroutine, which keeps its state when its parameters change.
type Tracker struct {
	Options
	processes *processes
	started   chan struct{} // closed by Run

	mu      sync.Mutex
	ctx     context.Context // context of Run; nil before
	ended   bool            // Update no longer starts anything
	watches map[key]*watch
	running sync.WaitGroup
}

// key identifies a track across reloads.
type key struct{ name, kind string }

// watch is a monitored track. Its goroutine receives parameters from the channel, which has room for one.
type watch struct {
	parameters chan config.Track
	cancel     context.CancelFunc
}

// New returns a Tracker. It monitors nothing before Run.
func New(o Options) *Tracker {
	if o.proc == "" {
		o.proc = procDir
	}
	return &Tracker{Options: o, processes: &processes{dir: o.proc}, watches: map[key]*watch{}, started: make(chan struct{})}
}

// Run monitors the tracks until ctx ends and everything that it has started is over.
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

// Update replaces the tracks. A track that already exists keeps its last result and gets its new parameters; if they have
// not changed, it is not affected. Update does not block.
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
			select { // replace parameters that have not been received yet
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

// startSpacing is the pause between the first runs of scripts that are added together: 200 start within a second.
const startSpacing = 5 * time.Millisecond

// begin starts to monitor a track, the nth new one.
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

// changes suppresses results that are the same as the previous one.
func changes(report func(Result)) func(Result) {
	var last Result
	return func(r Result) {
		if r != last {
			last = r
			report(r)
		}
	}
}
