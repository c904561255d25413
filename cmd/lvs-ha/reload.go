package main

import (
	"errors"
	"fmt"

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
			client := api.NewClient(supervisor.RuntimeDir(runtimeDir).APISocket())
			reloaded, err := client.Reload(cmd.Context())
			if err != nil {
				return asRefusal(err)
			}
			for _, w := range reloaded.Warnings {
				fmt.Fprintln(cmd.ErrOrStderr(), "warning: "+plain(w.String()))
			}
			fmt.Fprintln(cmd.OutOrStdout(), "reloaded")
			return nil
		},
	}
	registerRuntimeDir(cmd, &runtimeDir)
	return cmd
}

// asRefusal returns an error of the daemon, such as configuration diagnostics, without a prefix.
func asRefusal(err error) error {
	if refusal, ok := errors.AsType[*api.Error](err); ok {
		return &exitError{1, refusal}
	}
	return err
}
