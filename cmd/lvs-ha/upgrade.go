package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/supervisor"
	"github.com/spf13/cobra"
)

const upgradeLong = `Switch the running daemon to the installed version, without a failover: run it after the program was replaced. The
virtual addresses stay, and the IPVS table, its connections and the sync daemons are not touched. Older versions are
installed in the same way.

The running version first asks the installed one whether it can take over, with the same arguments and configuration. If its
processes do not become ready, or end within two seconds, the previous version is restored.

Exit status: 0 the installed version runs, 1 it does not, 3 lvs-ha is not running, 5 the running version cannot be upgraded in
place: restart it.`

// statusRestart is the exit status of upgrade if only a restart changes over.
const statusRestart = 5

// upgradeTimeout is longer than any upgrade, including the way back.
const upgradeTimeout = 2 * time.Minute

func newUpgrade() *cobra.Command {
	var runtimeDir string
	cmd := &cobra.Command{
		Use:   "upgrade",
		Short: "Switch the running daemon to the installed version, without a failover",
		Long:  upgradeLong,
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), upgradeTimeout)
			defer cancel()
			return upgrade(ctx, supervisor.RuntimeDir(runtimeDir), cmd.OutOrStdout())
		},
	}
	registerRuntimeDir(cmd, &runtimeDir)
	return cmd
}

// latestUpgrade is for the status.
func latestUpgrade(dir supervisor.RuntimeDir) *api.Upgrade {
	u, err := dir.ReadUpgrade()
	if err != nil || u.Step == supervisor.StepNone {
		return nil
	}
	return &api.Upgrade{Step: string(u.Step), From: u.From, To: u.To, Error: u.Error, Started: u.Started, Changed: u.Changed}
}

func upgrade(ctx context.Context, dir supervisor.RuntimeDir, out io.Writer) error {
	parent, err := supervisor.FindParent()
	if err != nil {
		return err
	}
	if parent == 0 {
		return &exitError{statusNotRunning, errors.New("lvs-ha is not running in this network namespace")}
	}
	before, err := dir.ReadUpgrade()
	if errors.Is(err, fs.ErrNotExist) || err == nil && before.PID != parent {
		return &exitError{statusRestart, fmt.Errorf("the running lvs-ha, process %d, cannot be upgraded in place: it is of a version before `lvs-ha upgrade`, "+
			"or its --runtime-dir is not %s. To change over with a failover, restart it", parent, dir)}
	}
	if err != nil {
		return fmt.Errorf("reading what the running lvs-ha says about upgrades: %w", err)
	}
	if before.Running() {
		return fmt.Errorf("another upgrade has been running since %s (%s)", before.Started.Local().Format(time.TimeOnly), before.Step)
	}
	installed, err := os.Stat(before.Path)
	if err != nil {
		return fmt.Errorf("the running lvs-ha was started as %s: %w", before.Path, err)
	}
	if running, err := os.Stat(fmt.Sprintf("/proc/%d/exe", parent)); err == nil && os.SameFile(running, installed) {
		fmt.Fprintf(out, "%s %s is already running\n", before.Path, before.Version)
		return nil
	}
	request, err := dir.RequestUpgrade()
	if err != nil {
		return err
	}
	defer request.Close()
	if err := syscall.Kill(parent, supervisor.UpgradeSignal); err != nil {
		return fmt.Errorf("asking the running lvs-ha, process %d, to upgrade: %w", parent, err)
	}
	return followUpgrade(ctx, dir, before, out)
}

// followUpgrade prints the steps of the upgrade after the one before, until its end.
func followUpgrade(ctx context.Context, dir supervisor.RuntimeDir, before supervisor.Upgrade, out io.Writer) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for last := supervisor.StepNone; ; {
		select {
		case <-ctx.Done():
			return fmt.Errorf("the upgrade has not ended within %v; its last step was %q: see the log and `lvs-ha status`", upgradeTimeout, last)
		case <-tick.C:
		}
		now, err := dir.ReadUpgrade()
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("reading how far the upgrade is: %w", err)
		}
		if err == nil && now.PID != before.PID {
			return fmt.Errorf("lvs-ha was restarted during the upgrade; version %s runs now, as process %d", now.Version, now.PID)
		}
		if syscall.Kill(before.PID, 0) != nil {
			return fmt.Errorf("lvs-ha, process %d, ended during the upgrade: see the log", before.PID)
		}
		if err != nil || now.Sequence == before.Sequence || now.Step == last {
			continue
		}
		switch last = now.Step; now.Step {
		case supervisor.StepChecking:
			fmt.Fprintf(out, "asking %s whether it can take over\n", now.Path)
		case supervisor.StepStarting:
			fmt.Fprintf(out, "changing over from version %s to %s\n", now.From, now.To)
		case supervisor.StepDone:
			fmt.Fprintf(out, "version %s runs\n", now.To)
			return nil
		case supervisor.StepRefused:
			return &exitError{1, fmt.Errorf("%s\nnothing was changed: version %s continues", plain(now.Error), now.From)}
		case supervisor.StepPutBack:
			return &exitError{1, fmt.Errorf("version %s did not work: %s\nversion %s was put back", now.To, plain(now.Error), now.From)}
		default:
			return &exitError{1, fmt.Errorf("version %s does not work: %s\nversion %s could not be put back: see the log", now.To, plain(now.Error), now.From)}
		}
	}
}
