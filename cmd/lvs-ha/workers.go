package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/director"
	"github.com/lvs-ha/lvs-ha/internal/discovery"
	"github.com/lvs-ha/lvs-ha/internal/doctor"
	"github.com/lvs-ha/lvs-ha/internal/metrics"
	"github.com/lvs-ha/lvs-ha/internal/page"
	"github.com/lvs-ha/lvs-ha/internal/script"
	"github.com/lvs-ha/lvs-ha/internal/supervisor"
	"github.com/lvs-ha/lvs-ha/internal/sysctl"
	"github.com/lvs-ha/lvs-ha/internal/track"
	"github.com/lvs-ha/lvs-ha/vrrp/speaker"
	"github.com/spf13/cobra"
)

func newSpeaker() *cobra.Command {
	logs := logFlags{worker: "speaker"}
	cmd := &cobra.Command{
		Use:    "speaker",
		Short:  "The VRRP worker (started by run)",
		Hidden: true,
		Args:   noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, flush, err := logs.open(os.Stderr)
			if err != nil {
				return err
			}
			defer flush()
			link, err := supervisor.Attach("speaker", log, nil)
			if err != nil {
				return err
			}
			signal.Ignore(syscall.SIGHUP) // sent by the kernel if the parent is killed while this process is stopped
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, syscall.SIGINT)
			defer stop()
			var files []*os.File
			turn := func(ctx context.Context) (_ speaker.Turn, err error) {
				if files, err = link.AwaitActivation(ctx, stop); err != nil {
					return speaker.Turn{}, err
				}
				listener, err := net.FileListener(files[0])
				if err != nil {
					return speaker.Turn{}, fmt.Errorf("inheriting the director's socket: %w", err)
				}
				files[0].Close()
				turn := speaker.Turn{Listener: listener, Tenures: files[1], Adopt: link.Restarted}
				if len(files) > 2 {
					turn.Flight = files[2]
				}
				return turn, nil
			}
			defer func() { runtime.KeepAlive(files) }() // the next parent checks the file locks
			err = speaker.Run(ctx, speaker.Options{Turn: turn, Ready: link.Ready, Alive: link.Alive, Logger: log})
			if errors.Is(err, supervisor.ErrNotActivated) {
				return nil
			}
			return err
		},
	}
	logs.register(cmd)
	return cmd
}

func newDirector() *cobra.Command {
	var conf configFlags
	logs := logFlags{worker: "director"}
	var runtimeDir string
	cmd := &cobra.Command{
		Use:    "director",
		Short:  "The worker for checks, IPVS, connection sync and the API (started by run)",
		Hidden: true,
		Args:   noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, flush, err := logs.open(os.Stderr)
			if err != nil {
				return err
			}
			defer flush()
			var private directorPrivate
			link, err := supervisor.Attach("director", log, &private)
			if err != nil {
				return err
			}
			conf.vars = private.Vars
			debug.SetGCPercent(directorGCPercent)
			if err := supervisor.LowerDirector(); err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, syscall.SIGINT)
			defer stop()
			load, err := firstLoad(&conf, link)
			if err != nil {
				return err
			}
			files, err := link.AwaitActivation(ctx, stop)
			if errors.Is(err, supervisor.ErrNotActivated) {
				return nil
			}
			if err != nil {
				return err
			}
			defer func() { runtime.KeepAlive(files) }() // as in the speaker
			return runDirector(ctx, supervisor.RuntimeDir(runtimeDir), &conf, load, files, link, log)
		},
	}
	conf.register(cmd)
	logs.register(cmd)
	registerRuntimeDir(cmd, &runtimeDir)
	return cmd
}

// directorGCPercent makes the director's heap grow by half of what is in use before it is collected, not by all of it: most of
// it stays for long, so that collections are rare anyway.
const directorGCPercent = 50

// loadTimeout limits the first reading of the configuration, including certificates.
const loadTimeout = 2 * time.Minute

// restartReadTimeout is how long a restarted director waits for the file systems of its configuration. It has the last valid
// configuration, and must be ready within the default grace of 5 s, after which the speaker hands over.
const restartReadTimeout = 2500 * time.Millisecond

var errSlowLoad = fmt.Errorf("reading the configuration took longer than %v: check that it and the files it names are not on a hung file system", loadTimeout)

// loader reads and validates the configuration.
type loader func() (*config.Config, []config.Finding, error)

// firstLoad reads the configuration before anything is changed. The returned loader first returns the same result again,
// and then reads the files. If a first start fails, the error requests ExitRefused; a restarted director continues with
// the last valid configuration.
func firstLoad(conf *configFlags, link *supervisor.ParentLink) (loader, error) {
	type result struct {
		cfg      *config.Config
		warnings []config.Finding
		err      error
	}
	loaded := make(chan result, 1)
	once := *conf
	if link.Restarted {
		once.readTimeout = restartReadTimeout
	}
	go func() {
		cfg, warnings, err := once.loadPlain(!link.Restarted && onTerminal(os.Stderr))
		loaded <- result{cfg, warnings, err}
	}()
	var first *result
	alive := time.NewTicker(supervisor.AliveInterval)
	defer alive.Stop()
	for timeout := time.After(loadTimeout); first == nil; {
		select {
		case r := <-loaded:
			first = &r
		case <-alive.C:
			link.Alive()
		case <-timeout:
			first = &result{err: errSlowLoad}
		}
	}
	if first.err == nil {
		if err := refuseWithout(first.cfg, link.Capabilities); err != nil {
			return nil, err
		}
	}
	if first.err != nil && !link.Restarted {
		return nil, &exitError{supervisor.ExitRefused, first.err}
	}
	var unread atomic.Pointer[result]
	unread.Store(first)
	return func() (*config.Config, []config.Finding, error) {
		if r := unread.Swap(nil); r != nil {
			return r.cfg, r.warnings, r.err
		}
		return conf.loadPlain(false)
	}, nil
}

// recordingIn returns the flight recording among the files from the parent; nil if there is none.
func recordingIn(files []*os.File) io.ReaderAt {
	if len(files) > 2 {
		return files[2]
	}
	return nil
}

// maxScripts limits the number of concurrent scripts.
const maxScripts = 64

func runDirector(ctx context.Context, dir supervisor.RuntimeDir, conf *configFlags, load loader, files []*os.File, link *supervisor.ParentLink, log *slog.Logger) error {
	path, err := filepath.Abs(conf.path)
	if err != nil {
		path = conf.path
	}
	identity, err := sysctl.Identity()
	if err != nil {
		return err
	}
	runner := script.NewRunner(maxScripts)
	defer runner.Close()
	checks := script.NewRunner(maxScripts) // tracks, which decide on mastership, do not wait for checks
	defer checks.Close()
	var listeners *api.Listeners
	var scheduler *healthcheck.Scheduler
	var client *speaker.Client
	d := director.New(director.Options{
		Version:      versionText(),
		Upgrade:      func() *api.Upgrade { return latestUpgrade(dir) },
		ConfigPath:   path,
		Load:         load,
		StateFile:    dir.StateFile(),
		Restarted:    link.Restarted,
		OpenKernel:   director.OpenKernel,
		Sysctls:      &sysctl.Keeper{Kernel: sysctl.System, Identity: identity, File: filepath.Join(string(dir), "sysctl.json")},
		Addresses:    speaker.Leftovers{},
		WatchSysctls: func(ctx context.Context, changed func()) { sysctl.Watch(ctx, log, changed) },
		NewChecker: func(report func(healthcheck.Event)) director.Checker {
			scheduler = healthcheck.NewScheduler(healthcheck.Options{Report: report, RunScript: checks.Run, Logger: log})
			return scheduler
		},
		NewTracker: func(report func(string, track.Result)) director.Tracker {
			return track.New(track.Options{Report: report, Script: runner.Run, Logger: log})
		},
		NewDiscoverer: func(report func(string, discovery.Report)) director.Discoverer {
			return discovery.New(discovery.Options{Report: report})
		},
		NewSpeaker: func(r director.SpeakerReports) director.Speaker {
			client = speaker.NewClient(speaker.ClientOptions{
				Path: supervisor.SocketPath(files[0]), Statuses: r.Statuses, Counters: r.Counters, Transitions: r.Transitions, Static: r.Static, Connected: r.Connected, Logger: log,
			})
			return client
		},
		RunScript: runner.Run, CheckScript: script.Check,
		Configured: func(cfg *config.Config) { listeners.Configure(cfg.API) },
		Ready:      link.Ready,
		Alive:      link.Alive,
		Logger:     log,
		Recording:  recordingIn(files),
	})
	apiCtx, stopAPI := context.WithCancel(context.WithoutCancel(ctx))
	pages := page.Pages()
	pages["/metrics"] = metrics.Handler(d.Survey, func() metrics.Figures {
		f := client.Figures()
		return metrics.Figures{Speaker: f, Checks: scheduler.Figures(), Processes: metrics.Processes(f.PID)}
	})
	examined := patient{d, doctor.Linux{APISocket: dir.APISocket(), Capabilities: uint64(link.Capabilities)}, func() (*config.Config, []config.Finding, error) { return conf.loadPlain(false) }}
	listeners = api.Listen(apiCtx, dir.APISocket(), examined, pages, api.Kept{Inherited: link.Stored, Keep: link.Store, Drop: link.Drop}, d.ServesAPI, log)
	defer listeners.Wait()
	defer stopAPI()
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	go func() {
		for {
			select {
			case <-hup:
				_, _ = d.Reload(ctx) // errors and warnings are logged
				link.Reloaded()
			case <-ctx.Done():
				return
			}
		}
	}()
	err = d.Run(ctx)
	if bad, ok := errors.AsType[*director.ConfigError](err); ok {
		return &exitError{supervisor.ExitRefused, bad}
	}
	return err
}
