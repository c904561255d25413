package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/director"
	"github.com/lvs-ha/lvs-ha/internal/supervisor"
	"github.com/spf13/cobra"
)

const planLong = `Show what a configuration would change in the kernel's IPVS table, connection sync and timeouts. Nothing is changed.

If lvs-ha is running, its health check results are used, and changes to its VRRP instances and checks are shown too; real
servers that it does not check yet count as passing. Without -c, --node, --var and --var-file this is what "lvs-ha reload"
would do. If lvs-ha is not running, all health checks count as passing.

Exit status: 0 no changes, 2 changes, 1 error.`

// planChanges is the exit status of a non-empty plan.
const planChanges = 2

func newPlan() *cobra.Command {
	var conf configFlags
	var runtimeDir, output string
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Show what a configuration would change in this kernel",
		Long:  planLong,
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output != "text" && output != "json" {
				return fmt.Errorf("--output %q: want text or json", output)
			}
			plan, err := makePlan(cmd, &conf, supervisor.RuntimeDir(runtimeDir))
			if err != nil {
				return err
			}
			if output == "json" {
				encoder := json.NewEncoder(cmd.OutOrStdout())
				encoder.SetIndent("", "  ")
				err = encoder.Encode(plan)
			} else {
				printer := planPrinter{w: cmd.OutOrStdout(), color: onTerminal(os.Stdout)}
				err = printer.print(plan)
			}
			if err != nil {
				return fmt.Errorf("writing the plan: %w", err)
			}
			if !plan.Empty() {
				return &exitError{status: planChanges}
			}
			return nil
		},
	}
	conf.register(cmd)
	registerRuntimeDir(cmd, &runtimeDir)
	cmd.Flags().StringVarP(&output, "output", "o", "text", "output format: text or json")
	return cmd
}

// makePlan plans the named configuration, or a reload of the daemon's configuration if none is named.
func makePlan(cmd *cobra.Command, conf *configFlags, dir supervisor.RuntimeDir) (api.Plan, error) {
	client := newClient(dir)
	if !conf.named(cmd) {
		if plan, err := client.PlanReload(cmd.Context()); !errors.Is(err, api.ErrNotRunning) {
			return plan, asRefusal(err)
		}
	}
	cfg, warnings, err := conf.load(onTerminal(os.Stderr))
	if err != nil {
		return api.Plan{}, err
	}
	if warnings != "" {
		fmt.Fprintln(cmd.ErrOrStderr(), warnings)
	}
	plan, err := client.Plan(cmd.Context(), cfg)
	if errors.Is(err, api.ErrNotRunning) {
		return director.PlanStopped(cmd.Context(), director.OpenKernel, cfg, dir.StateFile())
	}
	return plan, err
}
