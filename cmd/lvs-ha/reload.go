package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/supervisor"
	"github.com/spf13/cobra"
)

func newReload() *cobra.Command {
	var runtimeDir string
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Reload the configuration of the running daemon",
		Long: `Reload the configuration of the running daemon. Only what changed is touched. A configuration with errors changes
nothing: the errors are printed and the exit status is 1. Warnings, also about scripts that this host cannot run, do not
prevent it.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client := newClient(supervisor.RuntimeDir(runtimeDir))
			reloaded, err := client.Reload(cmd.Context())
			if err != nil {
				return asRefusal(err)
			}
			printWarnings(cmd.ErrOrStderr(), reloaded.Warnings)
			if until := reloaded.ConfirmUntil; !until.IsZero() {
				fmt.Fprintf(cmd.OutOrStdout(), "reloaded; lvs-ha goes back to the last confirmed configuration at %s unless this is confirmed (lvs-ha confirm)\n",
					until.Local().Format(time.TimeOnly))
				return nil
			}
			fmt.Fprintln(cmd.OutOrStdout(), "reloaded")
			return nil
		},
	}
	registerRuntimeDir(cmd, &runtimeDir)
	return cmd
}

func printWarnings(w io.Writer, warnings []api.Finding) {
	for _, one := range warnings {
		fmt.Fprintln(w, "warning: "+plain(one.String()))
	}
}

// asRefusal returns an error of the daemon, such as configuration diagnostics, without a prefix.
func asRefusal(err error) error {
	if refusal, ok := errors.AsType[*api.Error](err); ok {
		return &exitError{1, refusal}
	}
	return err
}
