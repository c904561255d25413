package track

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/script"
)

func TestCounter(t *testing.T) {
	for _, c := range []struct {
		name, init string
		results    string // + good, - bad
		want       string // states: g, b
	}{
		{"the first result decides", "", "+", "g"},
		{"the first result decides, a bad one too", "", "-++", "bbg"},
		{"initially failed: rise in a row", "failed", "+-++", "bbbg"},
		{"initially ok: fall in a row", "ok", "--+---", "ggggg" + "b"},
	} {
		v := verdict{rise: 2, fall: 3}
		v.begin(map[string]State{"ok": Good, "failed": Bad}[c.init], time.Time{})
		var got strings.Builder
		for _, r := range c.results {
			got.WriteString(string(v.note(r == '+', "", time.Time{}).State[0]))
		}
		if got.String() != c.want {
			t.Errorf("%s: %s, want %s", c.name, got.String(), c.want)
		}
	}
}

// rig is a tracker with a function for its scripts.
type rig struct {
	*Tracker
	mu      sync.Mutex
	reports []Result
	run     func(c script.Command) script.Result
}

func newRig(t *testing.T, proc string) *rig {
	g := &rig{run: func(script.Command) script.Result { return script.Result{} }}
	g.Tracker = New(Options{
		Report: func(_ string, r Result) {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.reports = append(g.reports, r)
		},
		Script: func(_ context.Context, c script.Command) script.Result { return g.run(c) },
		Logger: slog.New(slog.DiscardHandler), proc: proc,
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); g.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	return g
}

// states returns the states reported since the last call.
func (g *rig) states() (out []State) {
	synctest.Wait()
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, r := range g.reports {
		out = append(out, r.State)
	}
	g.reports = nil
	return out
}

func TestScript(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, "")
		var code, runs atomic.Int64
		g.run = func(script.Command) script.Result { runs.Add(1); return script.Result{ExitCode: int(code.Load())} }
		s := config.TrackScript{Command: []string{"true"}, Interval: time.Second, Timeout: time.Second, Rise: 1, Fall: 2}
		one := config.Track{Name: "one", Script: &s}
		g.Update([]config.Track{one})
		if got := g.states(); !slices.Equal(got, []State{Good}) {
			t.Errorf("at first: %v", got)
		}
		time.Sleep(10 * time.Second)
		if got := g.states(); len(got) != 0 || runs.Load() != 11 {
			t.Errorf("%d runs, reports %v", runs.Load(), got)
		}
		code.Store(3)
		time.Sleep(2 * time.Second)
		if got := g.states(); !slices.Equal(got, []State{Good, Bad}) { // the reason has changed before the state
			t.Errorf("failing: %v", got)
		}
		g.Update([]config.Track{one})
		if synctest.Wait(); runs.Load() != 13 {
			t.Errorf("an unchanged script was run at a reload: %d runs", runs.Load())
		}
		g.Update(nil)
		time.Sleep(time.Minute)
		if runs.Load() != 13 {
			t.Errorf("a script that is no longer tracked was run: %d runs", runs.Load())
		}
	})
}

func TestUnrunnableScriptFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, "")
		g.run = func(script.Command) script.Result { return script.Result{NotRun: errors.New("not safe"), ExitCode: -1} }
		g.Update([]config.Track{{Name: "x", Script: &config.TrackScript{Command: []string{"x"}, Interval: time.Second, Timeout: time.Second, Rise: 1, Fall: 1}}})
		if got := g.states(); !slices.Equal(got, []State{Bad}) {
			t.Errorf("%v", got)
		}
	})
}

func TestUnkillableScriptFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, "")
		killed := make(chan struct{})
		g.run = func(script.Command) script.Result { <-killed; return script.Result{} }
		g.Update([]config.Track{{Name: "x", Script: &config.TrackScript{Command: []string{"x"}, Interval: time.Second, Timeout: time.Second, Rise: 1, Fall: 1}}})
		time.Sleep(5 * time.Second)
		if got := g.states(); !slices.Equal(got, []State{Bad}) {
			t.Errorf("%v", got)
		}
		close(killed)
		time.Sleep(time.Second) // to run again
		if got := g.states(); !slices.Equal(got, []State{Good}) {
			t.Errorf("when it has ended: %v", got)
		}
	})
}

// process creates a process in a directory in the format of /proc.
func process(t *testing.T, proc, pid, comm string, state byte, args ...string) {
	t.Helper()
	dir := filepath.Join(proc, pid)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	stat := pid + " (" + comm + ") " + string(state) + " 1 1"
	for name, text := range map[string]string{"stat": stat, "comm": comm + "\n", "cmdline": strings.Join(args, "\x00") + "\x00"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCountProcesses(t *testing.T) {
	proc := t.TempDir()
	process(t, proc, "10", "haproxy", 'S', "/usr/sbin/haproxy", "-W", "-f", "a")
	process(t, proc, "11", "haproxy", 'S', "/usr/sbin/haproxy", "-f", "b")
	process(t, proc, "12", "haproxy", 'Z')
	process(t, proc, "13", "odd) (name", 'R', "odd")
	process(t, proc, "14", "a-very-long-nam", 'R', "/opt/a-very-long-name")
	for _, c := range []struct {
		track config.TrackProcess
		want  int
	}{
		{config.TrackProcess{Process: "haproxy"}, 2},
		{config.TrackProcess{Process: "odd) (name"}, 1},
		{config.TrackProcess{Process: "a-very-long-name"}, 1},
		{config.TrackProcess{Process: "none"}, 0},
		{config.TrackProcess{Command: []string{"/usr/sbin/haproxy"}}, 2},
		{config.TrackProcess{Command: []string{"/usr/sbin/haproxy", "-W"}}, 1},
		{config.TrackProcess{Command: []string{"/usr/sbin/hap"}}, 0},
	} {
		p := &processes{dir: proc}
		if got, err := p.matching(newProcessPattern(c.track.Process, c.track.Command), false); err != nil || len(got) != c.want {
			t.Errorf("%+v: processes %v, %v; want %d", c.track, got, err, c.want)
		}
	}
}

func TestProcess(t *testing.T) {
	proc := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, proc)
		c := config.TrackProcess{Process: "x", Minimum: 1, Maximum: 1, DelayUp: time.Second, DelayDown: 3 * time.Second}
		g.Update([]config.Track{{Name: "x", Process: &c}})
		steps := []struct {
			do    func()
			after time.Duration
			want  []State
		}{
			{func() {}, 0, []State{Bad}},
			{func() { process(t, proc, "7", "x", 'S', "x") }, 1500 * time.Millisecond, []State{Bad}}, // counted, but not for long enough
			{func() {}, 2 * time.Second, []State{Good}},
			{func() { process(t, proc, "8", "x", 'S', "x") }, 2 * time.Second, []State{Good}},
			{func() { os.RemoveAll(filepath.Join(proc, "8")) }, 4 * time.Second, []State{Good}},
			{func() { os.RemoveAll(filepath.Join(proc, "7")) }, 4 * time.Second, []State{Good, Bad}},
		}
		for i, s := range steps {
			s.do()
			time.Sleep(s.after)
			if got := g.states(); !slices.Equal(got, s.want) {
				t.Errorf("step %d: %v, want %v", i, got, s.want)
			}
		}
	})
}
