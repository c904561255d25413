package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/supervisor"
)

func newFailover() *cobra.Command {
	var runtimeDir string
	var stayAway time.Duration
	var undo bool
	cmd := &cobra.Command{
		Use:   "failover [NAME...]",
		Short: "Hand instances over to another router now",
		Long: `Hand VRRP instances over to another router, and wait until it is master. Without names, all instances are handed over;
a name is that of an instance or a sync group, and may contain wildcards for instances. This node then has priority 1 for
them, and takes over again only if no other router is left, until "lvs-ha failover --undo" or until the time given with
--for has passed. This remains in force across reloads and restarts of lvs-ha, but not across a reboot.

If no other router takes over, this node remains master and the failover is cancelled.

Exit status: 0 if every instance was handed over or was not master, 1 otherwise.`,
		Example: `  lvs-ha failover                  # before maintenance
  lvs-ha failover --undo           # after it
  lvs-ha failover 'web-*' --for 10m`,
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			status, err := newClient(supervisor.RuntimeDir(runtimeDir)).Status(cmd.Context())
			if err != nil {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			status.Services = nil
			return completions(status, args), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if undo && cmd.Flags().Changed("for") {
				return errors.New("--for has no meaning with --undo: remove one of them")
			}
			if cmd.Flags().Changed("for") && stayAway <= 0 {
				return errors.New("--for needs a positive time, for example 10m")
			}
			client := newClient(supervisor.RuntimeDir(runtimeDir))
			result, err := client.Failover(cmd.Context(), api.FailoverRequest{Instances: args, For: api.Duration(stayAway), Undo: undo})
			if err != nil {
				return asRefusal(err)
			}
			if !printFailover(cmd.OutOrStdout(), cmd.ErrOrStderr(), result) {
				return &exitError{status: 1}
			}
			return nil
		},
	}
	durationFlag(cmd, &stayAway, "for", "how long the failover stays in force (default: until --undo)")
	cmd.Flags().BoolVar(&undo, "undo", false, "end failovers that are in force")
	registerRuntimeDir(cmd, &runtimeDir)
	return cmd
}

// printFailover prints a line for each instance, and reports whether the request succeeded for all of them.
func printFailover(stdout, stderr io.Writer, f api.Failover) bool {
	ok := true
	for _, one := range f.Instances {
		w := stdout
		if !one.Outcome.OK() {
			w, ok = stderr, false
		}
		fmt.Fprintf(w, "%s: %s\n", plain(one.Name), outcomeText(one))
	}
	return ok
}

func outcomeText(f api.FailoverOf) string {
	took := time.Duration(f.Took).Round(100 * time.Microsecond)
	var text string
	switch f.Outcome {
	case api.FailoverDone:
		text = fmt.Sprintf("handed over to %s in %s", f.MasterAddress, took)
	case api.FailoverNoNeed:
		text = fmt.Sprintf("not master here (%s)", f.State)
		if f.MasterAddress != "" {
			text = "not master here; master is " + f.MasterAddress
		}
	case api.FailoverNobody:
		return fmt.Sprintf("no other router took over within %s; this node remains master, and the failover is cancelled", took)
	case api.FailoverEnded:
		return "the failover ended before another router took over: it was undone, its time ran out, or the instance was removed"
	case api.FailoverUndone:
		return "failover undone"
	case api.FailoverNone:
		return "no failover in force"
	default:
		return fmt.Sprintf("still %s; see lvs-ha status", f.State)
	}
	if !f.Until.IsZero() {
		text += "; stays away until " + f.Until.Local().Format(time.DateTime)
	}
	return text
}
