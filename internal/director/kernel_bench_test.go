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
	"github.com/lvs-ha/lvs-ha/internal/lab"
	"github.com/lvs-ha/lvs-ha/internal/sysctl"
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
				Logger:     slog.New(slog.DiscardHandler),
			})
			d.alive = time.NewTicker(time.Hour)
			defer d.alive.Stop()
			d.load(b.Context(), cfg)
			for key := range d.users {
				d.health[key] = healthcheck.Health{State: healthcheck.Up}
			}
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
