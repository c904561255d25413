package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/ipvsadm"
	"github.com/lvs-ha/lvs-ha/internal/migrate"
	"github.com/lvs-ha/lvs-ha/ipvs"
	"github.com/spf13/cobra"
)

func newExport() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Export the virtual services to another format",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newExportIpvsadm())
	return cmd
}

const exportIpvsadmLong = `Print the virtual services as rules for "ipvsadm -R".

With -c, --node, --var or --var-file, export a configuration as if all health checks passed. Rules cannot express health
checks, VRRP or connection sync; what is left out is listed on standard error. Without these options, export the
kernel's IPVS table: the output of "ipvsadm -S -n", plus what that omits, such as thresholds.`

func newExportIpvsadm() *cobra.Command {
	var conf configFlags
	cmd := &cobra.Command{
		Use:   "ipvsadm",
		Short: "Export the virtual services as ipvsadm rules",
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
			return writeRules(cmd.OutOrStdout(), migrate.Entries(cfg), cfg.Timeouts)
		},
	}
	conf.register(cmd)
	cmd.Flags().Lookup("config").DefValue = ""
	return cmd
}

func writeRules(out io.Writer, services []ipvs.Entry, timeouts *ipvs.Timeouts) error {
	err := ipvsadm.WriteRules(out, services)
	if t := timeouts; err == nil && t != nil {
		_, err = fmt.Fprintf(out, "--set %d %d %d\n", t.TCP, t.TCPFin, t.UDP)
	}
	if err != nil {
		return fmt.Errorf("writing the rules: %w", err)
	}
	return nil
}

// leftOut lists the parts of a configuration that rules cannot express.
func leftOut(cfg *config.Config) []string {
	checks, sorry, sync, sources := 0, 0, 0, 0
	for _, vs := range cfg.Services {
		checks += len(vs.Checks)
		sources += len(vs.Discover)
		for _, rs := range vs.RealServers {
			checks += len(rs.Checks)
			if rs.Sorry {
				sorry++
			}
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
	}{{checks, "health check"}, {sorry, "sorry server"}, {sources, "discover block"}, {len(cfg.VRRP), "VRRP instance"}, {sync, "connection sync"}} {
		if p.count > 0 {
			parts = append(parts, counted(p.count, p.thing))
		}
	}
	if len(parts) == 0 {
		return nil
	}
	return []string{"note: left out (no equivalent in ipvsadm rules): " + strings.Join(parts, ", ")}
}

func exportKernel(cmd *cobra.Command) error {
	client, err := ipvs.Open(cmd.Context())
	if err != nil {
		return err
	}
	defer client.Close()
	table, err := client.Table(cmd.Context())
	if err != nil {
		return err
	}
	return writeRules(cmd.OutOrStdout(), inOrder(table), nil)
}

// inOrder sorts the kernel's table by address: the kernel returns it in hash order, latest first.
func inOrder(table []ipvs.ServiceState) []ipvs.Entry {
	entries := make([]ipvs.Entry, len(table))
	for i, s := range table {
		entries[i].Service = s.Service
		for _, d := range s.Destinations {
			entries[i].Destinations = append(entries[i].Destinations, d.Destination)
		}
		slices.SortFunc(entries[i].Destinations, func(a, b ipvs.Destination) int {
			return cmp.Or(a.Address.Compare(b.Address), cmp.Compare(a.Port, b.Port))
		})
	}
	slices.SortFunc(entries, func(a, b ipvs.Entry) int {
		return cmp.Or(cmp.Compare(a.Mark, b.Mark), cmp.Compare(a.Family, b.Family), cmp.Compare(a.Protocol, b.Protocol),
			a.Address.Compare(b.Address), cmp.Compare(a.Port, b.Port))
	})
	return entries
}
