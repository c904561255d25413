package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/migrate"
	"github.com/lvs-ha/lvs-ha/ipvs"
	"github.com/lvs-ha/lvs-ha/ipvs/ipvsadm"
	"github.com/spf13/cobra"
)

func newExport() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write the virtual services for another program",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newExportIpvsadm())
	return cmd
}

const exportIpvsadmLong = `Write the virtual services as rules that "ipvsadm -R" reads, on standard output.

With -c, --node, --var or --var-file they are those of a configuration, as if all health checks passed. Rules have no
health checks, no VRRP and no connection sync: what is left out is said on standard error. Without any of them they are
those of this kernel, as "ipvsadm -S -n" prints them.`

func newExportIpvsadm() *cobra.Command {
	var conf configFlags
	cmd := &cobra.Command{
		Use:   "ipvsadm",
		Short: "Write the virtual services as rules of ipvsadm",
		Long:  exportIpvsadmLong,
		Example: `  lvs-ha export ipvsadm -c lvs-ha.hcl > /etc/ipvsadm.rules
  lvs-ha export ipvsadm`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !conf.named(cmd) {
				return exportKernel(cmd)
			}
			cfg, warnings, err := conf.load(onTerminal(os.Stderr))
			if err != nil {
				return err
			}
			for _, said := range append(leftOut(cfg), warnings) {
				if said != "" {
					fmt.Fprintln(cmd.ErrOrStderr(), said)
				}
			}
			return exportConfig(cmd, cfg)
		},
	}
	conf.register(cmd)
	cmd.Flags().Lookup("config").DefValue = ""
	return cmd
}

func exportConfig(cmd *cobra.Command, cfg *config.Config) error {
	out := cmd.OutOrStdout()
	err := ipvsadm.WriteRules(out, migrate.Entries(cfg))
	if t := cfg.Timeouts; err == nil && t != nil {
		_, err = fmt.Fprintf(out, "--set %d %d %d\n", t.TCP, t.TCPFin, t.UDP)
	}
	if err != nil {
		return fmt.Errorf("writing the rules: %w", err)
	}
	return nil
}

// leftOut says what of a configuration is in no rule.
func leftOut(cfg *config.Config) []string {
	checks, sync := 0, 0
	for _, vs := range cfg.Services {
		checks += len(vs.Checks)
		for _, rs := range vs.RealServers {
			checks += len(rs.Checks)
		}
	}
	for _, v := range cfg.VRRP {
		if v.ConnectionSync != nil {
			sync++
		}
	}
	var parts []string
	for _, p := range []struct {
		count int
		thing string
	}{{checks, "health check"}, {len(cfg.VRRP), "VRRP instance"}, {sync, "connection sync"}} {
		if p.count > 0 {
			parts = append(parts, counted(p.count, p.thing))
		}
	}
	if len(parts) == 0 {
		return nil
	}
	return []string{"note: rules have no place for " + strings.Join(parts, ", ")}
}

func exportKernel(cmd *cobra.Command) error {
	if client, err := ipvs.Open(cmd.Context()); err != nil {
		return err
	} else if err := client.Close(); err != nil {
		return err
	}
	var stderr bytes.Buffer
	env := ipvsadm.Environment{Stdout: cmd.OutOrStdout(), Stderr: &stderr}
	if ipvsadm.Main(cmd.Context(), []string{"-S", "-n"}, env) != 0 {
		return errors.New(strings.TrimSpace(stderr.String()))
	}
	return nil
}
