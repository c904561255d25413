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
nothing: the errors are printed and the exit status is 1.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client := api.NewClient(supervisor.RuntimeDir(runtimeDir).APISocket())
			if err := client.Reload(cmd.Context()); err != nil {
				return asRefusal(err)
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
