package main

import (
	"fmt"
	"os"

	"github.com/lvs-ha/lvs-ha/internal/discovery"
	"github.com/spf13/cobra"
)

func newValidate() *cobra.Command {
	var conf configFlags
	cmd := &cobra.Command{
		Use:   "validate",
		Short: "Check a configuration without applying it",
		Long:  "Check a configuration without applying it. Exit status: 0 valid, 1 invalid.",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, warnings, err := conf.load(onTerminal(os.Stderr))
			if err != nil {
				return err
			}
			if warnings != "" {
				fmt.Fprintln(cmd.ErrOrStderr(), warnings)
			}
			for _, s := range cfg.Sources() {
				if s.File == nil {
					continue
				}
				if _, err := discovery.Ask(cmd.Context(), s); err != nil {
					fmt.Fprintf(cmd.ErrOrStderr(), "Warning: discover %s: no real servers: %s\n", plain(s.String()), plain(err.Error()))
				}
			}
			servers := 0
			for _, vs := range cfg.Services {
				servers += len(vs.RealServers)
			}
			discovers := ""
			if n := len(cfg.Sources()); n > 0 {
				discovers = ", " + counted(n, "source") + " of others"
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s is valid for node %s: %s, %s, %s%s\n", conf.path, cfg.Node,
				counted(len(cfg.VRRP), "VRRP instance"), counted(len(cfg.Services), "virtual service"), counted(servers, "real server"), discovers)
			return nil
		},
	}
	conf.register(cmd)
	return cmd
}

// counted formats a number with its noun: "1 real server", "3 real servers".
func counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
