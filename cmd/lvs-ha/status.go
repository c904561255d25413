package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/supervisor"
	"github.com/spf13/cobra"
)

func newStatus() *cobra.Command {
	var runtimeDir, output string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show what the running daemon does",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output != "table" && output != "json" {
				return fmt.Errorf("--output %q: want table or json", output)
			}
			status, err := api.NewClient(supervisor.RuntimeDir(runtimeDir).APISocket()).Status(cmd.Context())
			if err != nil {
				return err
			}
			if output == "json" {
				encoder := json.NewEncoder(cmd.OutOrStdout())
				encoder.SetIndent("", "  ")
				return encoder.Encode(status)
			}
			return writeStatus(cmd.OutOrStdout(), status, time.Now())
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "table", "table or json")
	registerRuntimeDir(cmd, &runtimeDir)
	return cmd
}

func writeStatus(w io.Writer, s api.Status, now time.Time) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintf(t, "node %s, up %s, configuration %s loaded %s ago\n", s.Node, ago(s.Started, now), s.Config.Path, ago(s.Config.Loaded, now))
	if s.Config.ReloadError != "" {
		fmt.Fprintf(t, "\nthe last reload was refused:\n%s\n", s.Config.ReloadError)
	}
	for _, p := range s.Problems {
		fmt.Fprintf(t, "\nout of service for %s: %s: %s\n", ago(p.Since, now), p.What, p.Text)
	}
	for _, v := range s.VRRP {
		for _, text := range v.AddressesRefused {
			fmt.Fprintf(t, "\nvirtual address of %s refused, trying again: %s\n", v.Name, text)
		}
	}
	if len(s.VRRP) > 0 {
		fmt.Fprint(t, "\nVRRP\tINTERFACE\tVRID\tSTATE\tPRIORITY\tMASTER\tSINCE\tREASON\n")
	}
	for _, v := range s.VRRP {
		priority := fmt.Sprint(v.EffectivePriority)
		if v.EffectivePriority != v.Priority {
			priority += fmt.Sprintf(" (of %d)", v.Priority)
		}
		reason := v.Reason
		if v.PreemptHeld != "" {
			reason += "; does not preempt: " + v.PreemptHeld
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\t%s\t%s\t%s\n", v.Name, v.Interface, v.VirtualRouterID, v.State, priority,
			dash(v.MasterAddress), ago(v.Since, now), reason)
	}
	if len(s.Sync) > 0 {
		fmt.Fprint(t, "\nCONNECTION SYNC\tINTERFACE\tSYNC ID\tFOLLOWS\n")
	}
	for _, d := range s.Sync {
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\n", d.Role, d.Daemon.Interface, d.Daemon.SyncID, dash(d.Instance))
	}
	if len(s.Services) > 0 {
		fmt.Fprint(t, "\nSERVICE\tSERVER\tFORWARD\tWEIGHT\tSTATE\tSINCE\tACTIVE\tINACTIVE\tCHECK\n")
	}
	for _, v := range s.Services {
		missing := ""
		if !v.Present {
			missing = "not in the kernel"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t\t%s\t\t\t\t\n", v.Name, v.ServiceKey, v.Scheduler, missing)
		for _, r := range v.Servers {
			writeServer(t, r, now)
		}
	}
	for _, f := range s.Foreign {
		fmt.Fprintf(t, "\nforeign service %s with %d real servers: not in this configuration, left alone\n", f.ServiceKey, f.Servers)
	}
	return t.Flush()
}

func writeServer(w io.Writer, r api.Server, now time.Time) {
	weight := "-"
	if r.Present {
		weight = fmt.Sprint(r.KernelWeight)
	}
	if r.KernelWeight != r.Weight || !r.Present {
		weight += fmt.Sprintf(" (of %d)", r.Weight)
	}
	detail := ""
	for _, c := range r.Checks {
		if c.State == r.State && c.Detail != "" {
			detail = string(c.Kind) + ": " + c.Detail
		}
	}
	fmt.Fprintf(w, "\t%s\t%s\t%s\t%s\t%s\t%d\t%d\t%s\n", r.DestinationKey, r.Forward, weight, r.State, ago(r.Since, now), r.Active, r.Inactive, detail)
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// ago is the time since then, to two units: "3m12s".
func ago(then, now time.Time) string {
	if then.IsZero() {
		return "-"
	}
	d := max(now.Sub(then), 0)
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Hour:
		return d.Truncate(time.Second).String()
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd%dh", int(d.Hours())/24, int(d.Hours())%24)
}
