package track

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/script"
)

// bench is a Tracker in a synctest bubble with a fake script runner.
type bench struct {
	*Tracker
	t      *testing.T
	cancel context.CancelFunc
	ended  chan struct{}
	start  time.Time
	log    strings.Builder

	mu      sync.Mutex
	script  func(ctx context.Context, c script.Command) script.Result
	runs    []string // start time and command
	active  int
	results []string // time and result
	last    map[string]Result
	looks   int // number of reads by the test
}

func newBench(t *testing.T, run func(ctx context.Context, c script.Command) script.Result) *bench {
	b := &bench{t: t, start: time.Now(), script: run, last: map[string]Result{}, ended: make(chan struct{})}
	b.Tracker = New(Options{
		Report: func(name string, r Result) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.results = append(b.results, fmt.Sprintf("%v %s %s: %s", time.Since(b.start), name, r.State, r.Reason))
			b.last[name] = r
		},
		Script: func(ctx context.Context, c script.Command) script.Result {
			b.mu.Lock()
			b.runs = append(b.runs, fmt.Sprintf("%v %s", time.Since(b.start), c))
			if b.active++; b.active > 1 && c.Args[0] == "alone" {
				t.Error("two runs at a time")
			}
			run := b.script
			b.mu.Unlock()
			r := run(ctx, c)
			b.mu.Lock()
			b.active--
			b.mu.Unlock()
			return r
		},
		Logger: slog.New(slog.NewTextHandler(&b.log, nil)),
	})
	ctx, cancel := context.WithCancel(context.Background())
	b.cancel = cancel
	go func() {
		defer close(b.ended)
		b.Run(ctx)
	}()
	return b
}

func (b *bench) stop() {
	b.mu.Lock()
	b.looks++
	b.mu.Unlock()
	b.cancel()
	<-b.ended
}

// at waits until a time since the start.
func (b *bench) at(d time.Duration) {
	b.mu.Lock() // the state that the test has read may change from here on
	b.looks++
	b.mu.Unlock()
	time.Sleep(d - time.Since(b.start))
	synctest.Wait()
}

func (b *bench) want(what string, got, want []string) {
	b.t.Helper()
	if !slices.Equal(got, want) {
		b.t.Errorf("%s:\n%s\nwant\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func scriptTrack(name string, change ...func(*config.TrackScript)) config.Track {
	p := config.TrackScript{Command: []string{"alone"}, Interval: time.Second, Timeout: 500 * time.Millisecond, Rise: 1, Fall: 1}
	for _, c := range change {
		c(&p)
	}
	return config.Track{Name: name, Script: &p}
}

func exit(code int, output string) func(context.Context, script.Command) script.Result {
	return func(context.Context, script.Command) script.Result {
		time.Sleep(10 * time.Millisecond)
		return script.Result{ExitCode: code, Output: []byte(output)}
	}
}

func TestScriptRunsAtInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, exit(0, "fine"))
		defer b.stop()
		b.Update([]config.Track{scriptTrack("a", func(p *config.TrackScript) { p.Fall = 2 })})
		b.at(2500 * time.Millisecond)
		b.want("runs", b.runs, []string{"0s alone", "1s alone", "2s alone"})
		b.want("results", b.results, []string{"10ms a good: exit status 0"})

		b.mu.Lock()
		n := 0
		b.script = func(ctx context.Context, c script.Command) script.Result {
			n++
			return exit(1, fmt.Sprint("failed at ", n))(ctx, c)
		}
		b.mu.Unlock()
		b.at(6500 * time.Millisecond)
		b.want("results", b.results[1:], []string{
			"3.01s a good: exit status 1, 1 of 2 in a row to be bad: failed at 1",
			"4.01s a bad: exit status 1: failed at 2", // and not on each run with its current output
		})
	})
}

func TestHangingScriptFailsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// It cannot be killed for 3.2 s.
		b := newBench(t, func(context.Context, script.Command) script.Result {
			time.Sleep(3200 * time.Millisecond)
			return script.Result{TimedOut: true, ExitCode: -1}
		})
		defer b.stop()
		b.Update([]config.Track{scriptTrack("a", func(p *config.TrackScript) { p.Fall = 3; p.Init = "ok" })})
		b.at(4900 * time.Millisecond)
		b.want("runs", b.runs, []string{"0s alone", "4s alone"})
		b.want("results", b.results, []string{
			"500ms a good: timed out after 500ms, 1 of 3 in a row to be bad",
			"1s a good: timed out after 500ms, 2 of 3 in a row to be bad",
			"2s a bad: timed out after 500ms",
		})
	})
}

func TestUnrunnableScriptIsReportedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(context.Context, script.Command) script.Result {
			return script.Result{NotRun: errors.New("no such program"), ExitCode: -1}
		})
		defer b.stop()
		b.Update([]config.Track{scriptTrack("a")})
		b.at(5500 * time.Millisecond)
		b.want("results", b.results, []string{"0s a bad: no such program"})
		if n := strings.Count(b.log.String(), "level=ERROR"); n != 1 {
			t.Errorf("%d errors are logged:\n%s", n, b.log.String())
		}
	})
}

// TestReload checks that a track keeps its state if its parameters change, and then runs immediately.
func TestReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, exit(0, ""))
		defer b.stop()
		slow := func(p *config.TrackScript) {
			p.Interval = time.Minute
			p.Rise, p.Fall, p.Init, p.Command = 2, 2, "failed", []string{"several"}
		}
		b.Update([]config.Track{scriptTrack("a", slow), scriptTrack("b", slow)})
		b.at(time.Second)
		b.Update([]config.Track{scriptTrack("a", slow), scriptTrack("c", slow), scriptTrack("b", slow)})
		b.at(61 * time.Second)
		b.want("runs", b.runs, []string{"0s several", "5ms several", "1s several", "1m0s several", "1m0.005s several", "1m1s several"})
		if b.last["a"].State != Good || b.last["a"].Since.Sub(b.start) != 60010*time.Millisecond {
			t.Errorf("a: %+v", b.last["a"])
		}
		b.at(62 * time.Second)
		// As after a restart of the director, which omits the initial state.
		b.Update([]config.Track{scriptTrack("a", slow, func(p *config.TrackScript) { p.Init = "" })})
		b.at(63 * time.Second)
		if n := len(b.runs); n != 6 {
			t.Errorf("%d runs: a track that has not changed runs at once", n)
		}
		b.mu.Lock()
		b.script = exit(1, "")
		b.mu.Unlock()
		b.Update([]config.Track{scriptTrack("a", slow, func(p *config.TrackScript) { p.Command = []string{"other"} })})
		b.at(64 * time.Second)
		b.want("runs", b.runs[6:], []string{"1m3s other"})
		if r := b.last["a"]; r.State != Good || r.Reason != "exit status 1, 1 of 2 in a row to be bad" {
			t.Errorf("a: %+v", r)
		}
		b.at(124 * time.Second)
		if r := b.last["a"]; r.State != Bad {
			t.Errorf("a: %+v", r)
		}
		b.Update(nil)
		n := len(b.runs)
		b.at(10 * time.Minute)
		if len(b.runs) != n {
			t.Error("a track that was removed runs")
		}
	})
}

// TestReloadDuringRun cancels the run, whose result does not count, and starts the next one when it has ended.
func TestReloadDuringRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(ctx context.Context, c script.Command) script.Result {
			select {
			case <-ctx.Done():
				time.Sleep(100 * time.Millisecond) // to be killed
				return script.Result{ExitCode: -1}
			case <-time.After(300 * time.Millisecond):
				return script.Result{}
			}
		})
		defer b.stop()
		b.Update([]config.Track{scriptTrack("a")})
		b.at(50 * time.Millisecond)
		b.Update([]config.Track{scriptTrack("a", func(p *config.TrackScript) { p.Command = []string{"alone", "2"} })})
		b.at(time.Second)
		b.want("runs", b.runs, []string{"0s alone", "150ms alone 2"})
		b.want("results", b.results, []string{"450ms a good: exit status 0"})
	})
}

// TestScriptsDoNotStartAtOnce checks that the starts of 200 scripts are spread over a second.
func TestScriptsDoNotStartAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		most, now := 0, 0
		var mu sync.Mutex
		b := newBench(t, func(context.Context, script.Command) script.Result {
			mu.Lock()
			now++
			most = max(most, now)
			mu.Unlock()
			time.Sleep(20 * time.Millisecond)
			mu.Lock()
			now--
			mu.Unlock()
			return script.Result{}
		})
		defer b.stop()
		var tracks []config.Track
		for i := range 200 {
			tracks = append(tracks, scriptTrack(fmt.Sprint(i), func(p *config.TrackScript) { p.Command = []string{"many"} }))
		}
		b.Update(tracks)
		b.at(999 * time.Millisecond)
		if len(b.runs) != 200 || len(b.last) < 195 {
			t.Errorf("%d runs, %d results", len(b.runs), len(b.last))
		}
		b.at(10 * time.Second)
		if most > 5 {
			t.Errorf("%d at a time", most)
		}
	})
}

func TestDetails(t *testing.T) {
	for _, c := range []struct {
		result script.Result
		want   string
	}{
		{script.Result{Output: []byte("fine")}, "exit status 0"},
		{script.Result{ExitCode: 2}, "exit status 2"},
		{script.Result{ExitCode: 2, Output: []byte("one\n two \n\n")}, "exit status 2: one … two"},
		{script.Result{TimedOut: true, Timeout: time.Second, Output: []byte("x")}, "timed out after 1s: x"},
		{script.Result{NotRun: errors.New("no such user")}, "no such user"},
	} {
		var got Result
		s := scriptWatch{report: func(r Result) { got = r }, log: slog.New(slog.DiscardHandler)}
		if s.take(c.result); got.Reason != c.want {
			t.Errorf("%q, want %q", got.Reason, c.want)
		}
	}
}
