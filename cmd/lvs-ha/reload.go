package main

import (
	"fmt"

	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/supervisor"
	"github.com/spf13/cobra"
)

func newReload() *cobra.Command {
	var runtimeDir string
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Make the running daemon load its configuration again",
		Long: `Make the running daemon load its configuration again. Only what changed is touched. A configuration that is
refused changes nothing: its errors are printed here and the exit status is 1.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client := api.NewClient(supervisor.RuntimeDir(runtimeDir).APISocket())
			if err := client.Reload(cmd.Context()); err != nil {
				return &exitError{1, err}
			}
			fmt.Fprintln(cmd.OutOrStdout(), "reloaded")
			return nil
		},
	}
	registerRuntimeDir(cmd, &runtimeDir)
	return cmd
}
