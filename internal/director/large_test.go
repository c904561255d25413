package director

import (
	"context"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/discovery"
	"github.com/lvs-ha/lvs-ha/internal/metrics"
	"github.com/lvs-ha/lvs-ha/internal/pool"
	"github.com/lvs-ha/lvs-ha/internal/track"
	"github.com/lvs-ha/lvs-ha/ipvs"
)

// largeFile returns a configuration file with a number of real servers in services of 100, each with a distinct check.
func largeFile(t testing.TB, servers int) string {
	t.Helper()
	var text strings.Builder
	for n := range servers {
		if n%100 == 0 {
			fmt.Fprintf(&text, "virtual_service \"s%d\" {\n  address = \"192.0.%d.%d:80\"\n", n/100, n/10_000, n/100%100)
		}
		fmt.Fprintf(&text, "  real_server \"10.%d.%d.%d\" {\n    weight = %d\n    health_check \"http\" { path = \"/healthz\" }\n  }\n", n/62_500, n/250%250, n%250+1, n%100+1)
		if n%100 == 99 || n == servers-1 {
			text.WriteString("}\n")
		}
	}
	path := filepath.Join(t.TempDir(), "lvs-ha.hcl")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func loaded(t testing.TB, path string) *config.Config {
	t.Helper()
	cfg, problems := config.Load(path, config.Options{Node: "lb1"})
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	return cfg
}

// heap returns the size of live objects and the memory of the process for them.
func heap() (live, held uint64) {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc, m.HeapSys - m.HeapReleased
}

// TestMemoryOfLoadIsReturned checks that memory used by parsing, ten times that of a configuration, is returned after the
// start and after each reload.
func TestMemoryOfLoadIsReturned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := largeFile(t, 10_000)
		b := newBench(t)
		b.cfg = loaded(t, path)
		b.start(false)
		defer b.stop()
		look := func(when string) {
			t.Helper()
			live, held := heap()
			const slack = 16 << 20 // for the runtime and later allocations
			if held > 2*live+slack {
				t.Errorf("%s: %d MB are held for %d MB of live objects", when, held>>20, live>>20)
			}
			if most := uint64(10_000 * 4 << 10); live > most {
				t.Errorf("%s: %d bytes live, want at most 4 KiB a real server", when, live)
			}
		}
		look("after the start")
		b.cfg = loaded(t, path)
		b.reload()
		look("after a reload")
	})
}

// TestMemoryOfFirstChecksIsReturned checks that memory is returned at the repair after the last first result.
func TestMemoryOfFirstChecksIsReturned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.start(false)
		defer b.stop()
		settling := func() (yes bool) {
			b.changed(func() { yes = b.director.settling })
			return yes
		}
		b.judge(first, healthcheck.Up)
		b.repair()
		if !settling() {
			t.Error("the second server's check has no result yet")
		}
		b.judge(second, healthcheck.Down)
		b.repair()
		if settling() {
			t.Error("every check has a result")
		}
	})
}

// BenchmarkReload reloads a configuration of 40,000 real servers, each with its own check.
func BenchmarkReload(b *testing.B) {
	path := largeFile(b, 40_000)
	for b.Loop() {
		began := time.Now()
		cfg := loaded(b, path)
		b.ReportMetric(float64(time.Since(began).Milliseconds()), "ms-load")
		_, _ = pool.NewResults(cfg.Services, nil, &pool.Results{})
		for _, vs := range cfg.Services {
			_ = pool.Decide(&vs, pool.Inputs{}).Entry()
		}
		_ = changesBetween(cfg, cfg)
	}
}

// large returns a director with a number of real servers, each with its own check, which are all up and in the kernel's table.
func large(b *testing.B, servers int) (*Director, observed) {
	cfg := loaded(b, largeFile(b, servers))
	d := New(Options{
		Load:       func() (*config.Config, []config.Finding, error) { return cfg, nil, nil },
		StateFile:  filepath.Join(b.TempDir(), "director.json"),
		NewChecker: func(func(healthcheck.Event)) Checker { return &fakeChecker{} },
		NewTracker: func(func(string, track.Result)) Tracker { return &fakeTracker{} },
		NewSpeaker: func(SpeakerReports) Speaker { return &fakeSpeaker{} },

		NewDiscoverer: func(func(string, discovery.Report)) Discoverer { return &fakeDiscoverer{} },
		Logger:        slog.New(slog.DiscardHandler),
	})
	if err := d.start(); err != nil {
		b.Fatal(err)
	}
	d.load(b.Context(), cfg)
	allUp(d)
	var kernel observed
	for _, vs := range cfg.Services {
		v := pool.Decide(&vs, d.inputs())
		d.noteVerdict(vs, v)
		state := ipvs.ServiceState{Service: vs.Service}
		for _, m := range v.Members {
			state.Destinations = append(state.Destinations, ipvs.DestinationState{Destination: m.Destination})
		}
		kernel.table = append(kernel.table, state)
	}
	return d, kernel
}

// allUp gives every check of a director a good result.
func allUp(d *Director) {
	_, targets := pool.NewResults(d.cfg.Services, nil, d.checks)
	for _, t := range targets {
		d.checks.Set(t.Key(), healthcheck.Health{State: healthcheck.Up, Since: time.Now(), Detail: "200 OK", Took: time.Millisecond})
	}
}

// BenchmarkStatus returns the state of 40,000 real servers.
func BenchmarkStatus(b *testing.B) {
	d, kernel := large(b, 40_000)
	b.ReportAllocs()
	for b.Loop() {
		seen := d.snapshot()
		_ = seen.status(kernel, time.Now())
		for range seen.services(kernel, time.Now()) {
		}
	}
}

// BenchmarkSnapshot is how long a reader of the state of 40,000 real servers occupies the director's goroutine.
func BenchmarkSnapshot(b *testing.B) {
	d, _ := large(b, 40_000)
	b.ReportAllocs()
	for b.Loop() {
		_ = d.snapshot()
	}
}

// BenchmarkScrape serves the metrics of 40,000 real servers on a Unix socket.
func BenchmarkScrape(b *testing.B) {
	d, kernel := large(b, 40_000)
	l, err := net.Listen("unix", filepath.Join(b.TempDir(), "s"))
	if err != nil {
		b.Fatal(err)
	}
	survey := func(context.Context) (api.Status, iter.Seq[*api.Service], error) {
		seen, now := d.snapshot(), time.Now()
		return seen.status(kernel, now), seen.services(kernel, now), nil
	}
	server := http.Server{Handler: metrics.Handler(survey, func() metrics.Figures { return metrics.Figures{} })}
	go func() { _ = server.Serve(l) }()
	defer server.Close()
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", l.Addr().String())
	}}}
	b.ReportAllocs()
	for b.Loop() {
		answer, err := client.Get("http://lvs-ha/metrics")
		if err != nil {
			b.Fatal(err)
		}
		n, err := io.Copy(io.Discard, answer.Body)
		if err != nil {
			b.Fatal(err)
		}
		answer.Body.Close()
		b.SetBytes(n)
	}
}
