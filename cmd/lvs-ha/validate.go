package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
)

func newValidate() *cobra.Command {
	var conf configFlags
	cmd := &cobra.Command{
		Use:   "validate",
		Short: "Check a configuration without touching anything",
		Long:  "Check a configuration without touching anything. Exit status: 0 good, 1 bad.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, warnings, err := conf.load(onTerminal(os.Stderr))
			if err != nil {
				return &exitError{1, err}
			}
			if warnings != "" {
				fmt.Fprintln(cmd.ErrOrStderr(), warnings)
			}
			servers := 0
			for _, vs := range cfg.Services {
				servers += len(vs.RealServers)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s is valid for node %s: %d VRRP instances, %d virtual services, %d real servers\n",
				conf.path, cfg.Node, len(cfg.VRRP), len(cfg.Services), servers)
			return nil
		},
	}
	conf.register(cmd)
	return cmd
}
