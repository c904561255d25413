package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/director"
	"github.com/lvs-ha/lvs-ha/internal/supervisor"
	"github.com/lvs-ha/lvs-ha/internal/sysctl"
	"github.com/lvs-ha/lvs-ha/vrrp"
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
			seat, err := supervisor.Attach()
			if err != nil {
				return err
			}
			log, flush, err := logs.open(os.Stderr)
			if err != nil {
				return err
			}
			defer flush()
			inherited := supervisor.Inherited(0, "director's socket")
			listener, err := net.FileListener(inherited)
			if err != nil {
				return fmt.Errorf("inheriting the director's socket: %w", err)
			}
			inherited.Close()
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, syscall.SIGINT)
			defer stop()
			signal.Ignore(syscall.SIGHUP) // from the kernel, if the parent is killed while this process is stopped
			tenures := supervisor.Inherited(1, "tenures")
			defer tenures.Close()
			err = speaker.Run(ctx, speaker.Options{Listener: listener, Turn: seat.Turn, Tenures: tenures, Ready: seat.Ready, Alive: seat.Alive, Logger: log})
			if errors.Is(err, supervisor.ErrNoTurn) {
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
			seat, err := supervisor.Attach()
			if err != nil {
				return err
			}
			log, flush, err := logs.open(os.Stderr)
			if err != nil {
				return err
			}
			defer flush()
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, syscall.SIGINT)
			defer stop()
			restarted, err := seat.Turn(ctx)
			if err != nil {
				return err
			}
			err = runDirector(ctx, supervisor.RuntimeDir(runtimeDir), &conf, restarted, seat, log)
			if bad, ok := errors.AsType[*director.ConfigError](err); ok {
				return &exitError{supervisor.ExitRefused, bad}
			}
			return err
		},
	}
	conf.register(cmd)
	logs.register(cmd)
	registerRuntimeDir(cmd, &runtimeDir)
	return cmd
}

func runDirector(ctx context.Context, dir supervisor.RuntimeDir, conf *configFlags, restarted bool, seat *supervisor.Seat, log *slog.Logger) error {
	path, err := filepath.Abs(conf.path)
	if err != nil {
		path = conf.path
	}
	identity, err := sysctl.Identity()
	if err != nil {
		return err
	}
	socket := supervisor.Inherited(0, "speaker's socket")
	defer socket.Close()
	d := director.New(director.Options{
		Version:    versionText(),
		ConfigPath: path,
		Load:       func() (*config.Config, error) { return conf.loadLogged(false, log) },
		StateFile:  dir.StateFile(),
		Restarted:  restarted,
		OpenKernel: director.OpenKernel,
		Sysctls:    &sysctl.Keeper{Kernel: sysctl.System, Identity: identity, File: filepath.Join(string(dir), "sysctl.json")},
		NewChecker: func(report func(healthcheck.Event)) director.Checker {
			return healthcheck.NewScheduler(healthcheck.Options{Report: report, Logger: log})
		},
		NewSpeaker: func(report func([]vrrp.Status), connected func(bool)) director.Speaker {
			return speaker.NewClient(speaker.ClientOptions{Path: supervisor.SocketPath(socket), Statuses: report, Connected: connected, Logger: log})
		},
		Ready:  seat.Ready,
		Alive:  seat.Alive,
		Logger: log,
	})
	apiCtx, stopAPI := context.WithCancel(context.WithoutCancel(ctx))
	served := api.Keep(apiCtx, dir.APISocket(), d, log)
	defer func() {
		stopAPI()
		<-served
	}()
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	go func() {
		for {
			select {
			case <-hup:
				d.Reload(ctx)
			case <-ctx.Done():
				return
			}
		}
	}()
	return d.Run(ctx)
}
