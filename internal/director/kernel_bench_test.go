package director

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/internal/discovery"
	"github.com/lvs-ha/lvs-ha/internal/lab"
	"github.com/lvs-ha/lvs-ha/internal/sysctl"
	"github.com/lvs-ha/lvs-ha/internal/track"
	"github.com/lvs-ha/lvs-ha/ipvs"
)

// BenchmarkKernelRepair compares everything with the kernel when nothing has changed.
func BenchmarkKernelRepair(b *testing.B) {
	lab.Need(b, lab.Kernel)
	l := lab.NewT(b, "repair")
	lan, err := l.Bridge("lan")
	if err != nil {
		b.Fatal(err)
	}
	host, err := l.Host("director", lab.NIC{Name: "eth0", Bridge: lan, Addresses: lab.Prefixes("192.0.2.1/24")})
	if err != nil {
		b.Fatal(err)
	}
	for _, servers := range []int{10, 1_000, 40_000} {
		b.Run(fmt.Sprint(servers), func(b *testing.B) {
			cfg := loaded(b, largeFile(b, servers))
			d := New(Options{
				Load:      func() (*config.Config, []config.Finding, error) { return cfg, nil, nil },
				StateFile: filepath.Join(b.TempDir(), "director.json"),
				OpenKernel: func(ctx context.Context) (k Kernel, err error) {
					err = host.Do(func() (err error) {
						k, err = OpenKernel(ctx)
						return err
					})
					return k, err
				},
				Sysctls:    &sysctl.Keeper{Kernel: sysctl.System, Identity: "boot/1", File: filepath.Join(b.TempDir(), "sysctl.json")},
				NewChecker: func(func(healthcheck.Event)) Checker { return &fakeChecker{} },
				NewSpeaker: func(SpeakerReports) Speaker { return &fakeSpeaker{} },

				NewDiscoverer: func(func(string, discovery.Report)) Discoverer { return &fakeDiscoverer{} },

				Logger: slog.New(slog.DiscardHandler),
			})
			d.alive = time.NewTicker(time.Hour)
			defer d.alive.Stop()
			if err := d.start(); err != nil {
				b.Fatal(err)
			}
			d.load(b.Context(), cfg)
			allUp(d)
			pass := func() {
				d.touched.everything()
				d.reconcile(b.Context())
			}
			pass()
			for b.Loop() {
				pass()
			}
			if len(d.problems.open) > 0 {
				b.Fatal(d.problems.open)
			}
			b.StopTimer()
			d.cfg = &config.Config{}
			pass()
			d.closeKernel()
		})
	}
}

// BenchmarkKernelChanges reports changed states of the checks of 10,000 real servers to a running director, and measures
// after what time the kernel's table has them: of one server that fails, of 5,000 changes a second, and of 1,000 servers that
// fail at once.
func BenchmarkKernelChanges(b *testing.B) {
	lab.Need(b, lab.Kernel)
	const servers, perService, rate, tick = 10_000, 100, 5_000, 10 * time.Millisecond
	l := lab.NewT(b, "changes")
	host, err := l.Host("director")
	if err != nil {
		b.Fatal(err)
	}
	cfg := loaded(b, largeFile(b, servers))
	open := func(ctx context.Context) (k Kernel, err error) {
		err = host.Do(func() (err error) {
			k, err = OpenKernel(ctx)
			return err
		})
		return k, err
	}
	checker, ready := &fakeChecker{}, make(chan struct{})
	d := New(Options{
		Load:      func() (*config.Config, []config.Finding, error) { return cfg, nil, nil },
		StateFile: filepath.Join(b.TempDir(), "director.json"), OpenKernel: open,
		NewChecker: func(report func(healthcheck.Event)) Checker {
			checker.report = report
			return checker
		},
		NewTracker: func(func(string, track.Result)) Tracker { return &fakeTracker{} },
		NewSpeaker: func(SpeakerReports) Speaker { return &fakeSpeaker{} },

		NewDiscoverer: func(func(string, discovery.Report)) Discoverer { return &fakeDiscoverer{} },

		Ready:  func() { close(ready) },
		Logger: slog.New(slog.DiscardHandler),
	})
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			b.Error(err)
		}
	}()
	<-ready
	kernel, err := open(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	defer kernel.Close()
	set := func(i int, state healthcheck.State) {
		t := checker.targets[i]
		checker.report(healthcheck.Event{Status: healthcheck.Status{Key: t.Key(), Target: t, Health: healthcheck.Health{State: state, Since: time.Now()}}, Changed: true})
	}
	// behind waits until a server's service has so many destinations with a weight, and returns the time since a moment.
	behind := func(i, want int, since time.Time) time.Duration {
		key := cfg.Services[i/perService].ServiceKey
		for {
			list, err := kernel.Lookup(b.Context(), []ipvs.ServiceKey{key})
			if err != nil {
				b.Fatal(err)
			}
			used := 0
			for _, s := range list {
				for _, d := range s.Destinations {
					if d.Weight > 0 {
						used++
					}
				}
			}
			if len(list) == 1 && used == want {
				return time.Since(since)
			}
			<-time.After(time.Millisecond)
		}
	}
	for i := range servers {
		set(i, healthcheck.Up)
	}
	behind(servers-1, perService, time.Now())
	all := func(want int) {
		for i := 0; i < servers; i += perService {
			behind(i, want, time.Now())
		}
	}
	all(perService)
	for b.Loop() {
		var one, flood time.Duration
		for i := 0; i < servers; i += perService {
			set(i, healthcheck.Down)
			one = max(one, behind(i, perService-1, time.Now()))
			set(i, healthcheck.Up)
			behind(i, perService, time.Now())
		}
		// Each server changes twice; the last one of each tick is looked for.
		began, n := time.Now(), 0
		for range time.Tick(tick) {
			for ; n < int(time.Since(began).Seconds()*rate) && n < 2*servers; n++ {
				set(n%servers, []healthcheck.State{healthcheck.Down, healthcheck.Up}[n/servers])
			}
			last, down := (n-1)%servers, n <= servers
			want := last%perService + 1 // of the changed ones of its service
			if down {
				want = perService - want
			}
			flood = max(flood, behind(last, want, time.Now()))
			if n == 2*servers {
				break
			}
		}
		took := time.Since(began)
		all(perService)
		failed := time.Now()
		for i := range 1000 {
			set(i*10, healthcheck.Down)
		}
		all(perService - 10)
		wave := time.Since(failed)
		for i := range 1000 {
			set(i*10, healthcheck.Up)
		}
		all(perService)
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(float64(one.Microseconds())/1e3, "ms-one")
		b.ReportMetric(float64(flood.Microseconds())/1e3, "ms-flood")
		b.ReportMetric(2*servers/took.Seconds(), "changes/s")
		b.ReportMetric(float64(wave.Microseconds())/1e3, "ms-1000-at-once")
	}
}
