package director

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/internal/script"
	"github.com/lvs-ha/lvs-ha/internal/track"
	"github.com/lvs-ha/lvs-ha/ipvs"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// fakeTracker records the tracks, and reports results on request.
type fakeTracker struct {
	report func(string, track.Result)
	tracks []config.Track
}

func (f *fakeTracker) Run(ctx context.Context)      { <-ctx.Done() }
func (f *fakeTracker) Update(tracks []config.Track) { f.tracks = tracks }

// withTracks returns a configuration with two servers and an instance that tracks everything.
func withTracks() *config.Config {
	cfg := twoServers()
	cfg.Tracks = []config.Track{
		{Name: "haproxy", Script: &config.TrackScript{Command: []string{"true"}, Init: "ok"}},
		{Name: "maintenance", File: &config.TrackFile{Path: "/run/maintenance"}},
		{Name: "nginx", Process: &config.TrackProcess{Process: "nginx"}},
		{Name: "pool", Service: &config.TrackService{Service: "http", Minimum: 1}},
	}
	cfg.VRRP = []config.VRRP{{Instance: vrrp.Instance{Name: "web"}, Tracks: []config.TrackUse{
		{Name: "haproxy"}, {Name: "maintenance", Weight: 1}, {Name: "nginx", Weight: -30}, {Name: "pool"},
	}}}
	return cfg
}

// tracks returns the speaker's tracks by name.
func (b *bench) tracks() map[string]vrrp.Track {
	synctest.Wait()
	out := map[string]vrrp.Track{}
	for _, t := range b.speaker.wanted().Instances[0].Tracks {
		out[t.Name] = t
	}
	return out
}

func (b *bench) wantTrack(name string, effect vrrp.Effect, offset int, pending bool) {
	b.t.Helper()
	if got := b.tracks()[name]; got.Effect != effect || got.Offset != offset || got.Pending != pending || got.Kind == "" {
		b.t.Errorf("%+v, want effect %q, offset %d, pending %v", got, effect, offset, pending)
	}
}

func TestTracks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.cfg = withTracks()
		b.start(false)
		defer b.stop()
		if n := len(b.tracker.tracks); n != 3 {
			t.Errorf("%d tracks are watched, want 3", n)
		}
		b.wantTrack("haproxy", vrrp.EffectNone, 0, true)
		b.wantTrack("maintenance", vrrp.EffectNone, 0, true)
		b.wantTrack("nginx", vrrp.EffectNone, 0, true)
		b.wantTrack("pool", vrrp.EffectFault, 0, true)

		b.tracker.report("haproxy", track.Result{State: track.Bad, Reason: "exit status 1"})
		b.tracker.report("maintenance", track.Result{State: track.Good, Number: -40})
		b.tracker.report("nginx", track.Result{State: track.Bad})
		b.tracker.report("unknown", track.Result{State: track.Bad})
		b.wantTrack("haproxy", vrrp.EffectFault, 0, false)
		b.wantTrack("maintenance", vrrp.EffectOffset, -40, false)
		b.wantTrack("nginx", vrrp.EffectOffset, -30, false)
		if got := b.tracks()["haproxy"].Reason; got != "exit status 1" {
			t.Errorf("reason %q", got)
		}

		b.judge("192.168.10.1:80", healthcheck.Up)
		b.wantTrack("pool", vrrp.EffectNone, 0, false)
		since := b.tracks()["pool"].Since
		time.Sleep(time.Second)
		b.judge("192.168.10.2:80", healthcheck.Up)
		if got := b.tracks()["pool"].Since; !got.Equal(since) {
			t.Errorf("since %v, want %v", got, since)
		}
		b.judge("192.168.10.1:80", healthcheck.Down)
		b.judge("192.168.10.2:80", healthcheck.Down)
		b.wantTrack("pool", vrrp.EffectFault, 0, false)
	})
}

// TestReloadKeepsResults checks that only a new track has no result.
func TestReloadKeepsResults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.cfg = withTracks()
		b.start(false)
		defer b.stop()
		b.tracker.report("haproxy", track.Result{State: track.Bad})
		b.tracker.report("nginx", track.Result{State: track.Bad})
		b.tracks()
		b.cfg = withTracks()
		b.cfg.VRRP[0].Tracks[0].Weight = -20
		b.cfg.Tracks[2] = config.Track{Name: "nginx", Script: &config.TrackScript{Init: "ok"}}
		if _, err := b.director.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.wantTrack("haproxy", vrrp.EffectOffset, -20, false)
		b.wantTrack("nginx", vrrp.EffectNone, 0, true)
	})
}

// TestReloadWarnsAboutCommands checks the answer of a reload and its log.
func TestReloadWarnsAboutCommands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.cfg = withTracks()
		b.cfg.VRRP[0].Notify = &config.Notify{Master: []string{"/notify"}, Timeout: time.Second}
		b.start(false)
		defer b.stop()
		if r, err := b.director.Reload(t.Context()); err != nil || len(r.Warnings) > 0 {
			t.Fatalf("%v, %v", r, err)
		}
		b.log.read()
		b.refused = map[string]error{"true": errors.New("no program"), "/notify": errors.New("no file")}
		r, err := b.director.Reload(t.Context())
		if err != nil || len(r.Warnings) != 2 {
			t.Fatalf("%v, %v", r, err)
		}
		for i, want := range [][]string{{"track_script haproxy", "no program", "web cannot be master", config.CommandRemedy}, {"notify.master of vrrp web", "no file"}} {
			for _, part := range want {
				if w := r.Warnings[i]; w.Severity != "warning" || !strings.Contains(w.String(), part) {
					t.Errorf("warning %d has no %q: %+v", i, part, w)
				}
			}
		}
		if log := b.log.read(); strings.Count(log, "level=WARN") != 2 {
			t.Errorf("it logs:\n%s", log)
		}
	})
}

// TestReloadDoesNotWaitForCommands checks that a hanging file system only costs the warning.
func TestReloadDoesNotWaitForCommands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.cfg = withTracks()
		b.start(false)
		defer b.stop()
		hang := make(chan struct{})
		defer close(hang)
		b.director.CheckScript = func(script.Command) error { <-hang; return nil }
		began := time.Now()
		if _, err := b.director.Reload(t.Context()); err != nil || time.Since(began) > commandPatience {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

// TestRestartedDirectorHasNoInitialResults checks that the speaker keeps the last results.
func TestRestartedDirectorHasNoInitialResults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.cfg = withTracks()
		b.start(true)
		defer b.stop()
		if got := b.tracker.tracks[0].Script.Init; got != "" {
			t.Errorf("the initial result is %q", got)
		}
		b.wantTrack("haproxy", vrrp.EffectNone, 0, true)
	})
}

// TestUnfitDirectorIsLastResort applies immediately if the table never worked, and after the grace time if it did.
func TestUnfitDirectorIsLastResort(t *testing.T) {
	unfit := func(b *bench) bool {
		t, ok := b.tracks()["table"]
		return ok && t.Effect == vrrp.EffectLastResort
	}
	with := func() *config.Config {
		cfg := twoServers()
		cfg.VRRP = []config.VRRP{{Instance: vrrp.Instance{Name: "web"}}}
		return cfg
	}
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.cfg, b.noKernel = with(), errors.New("no IPVS")
		b.start(false)
		defer b.stop()
		if !unfit(b) {
			t.Error("it counts as fit without IPVS")
		}
		if err := b.director.do(t.Context(), func() error { b.noKernel = nil; return nil }); err != nil {
			t.Fatal(err)
		}
		time.Sleep(b.cfg.Director.Repair + time.Second)
		if unfit(b) {
			t.Error("it counts as unfit with IPVS")
		}
		// The table has worked, and now fails.
		if err := b.director.do(t.Context(), func() error { b.director.kernel = brokenKernel{b.kernel}; return nil }); err != nil {
			t.Fatal(err)
		}
		time.Sleep(b.cfg.Director.Repair + time.Second)
		if unfit(b) {
			t.Error("it counts as unfit within the grace time")
		}
		time.Sleep(b.cfg.Director.Grace + b.cfg.Director.Repair)
		if !unfit(b) {
			t.Error("it counts as fit after the grace time")
		}
	})
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.cfg, b.noKernel = with(), errors.New("no IPVS")
		b.start(true)
		defer b.stop()
		if unfit(b) {
			t.Error("a restarted director counts as unfit at once")
		}
	})
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.cfg, b.noKernel = onlyVRRP(), errors.New("no IPVS")
		b.start(false)
		defer b.stop()
		if unfit(b) {
			t.Error("it counts as unfit without a service")
		}
	})
}

// brokenKernel cannot list its table.
type brokenKernel struct{ *fakeKernel }

func (brokenKernel) Table(context.Context) ([]ipvs.ServiceState, error) {
	return nil, errors.New("broken")
}
