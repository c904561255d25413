package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/realserver"
	"github.com/lvs-ha/lvs-ha/internal/sysctl"
	"github.com/spf13/cobra"
)

// realserverTimeout limits a whole call.
const realserverTimeout = time.Minute

const realserverLong = `Set up this host as a real server, or undo that.

With direct routing (dr), the virtual addresses are added to lo as host addresses, and no device answers ARP for them.
With tunnelling (tun), they are added to the kernel's tunnel device, which is set up to accept packets from remote
clients. With nat nothing is changed; only the return route is checked.

Name the addresses with --vip, or take them from a director's configuration with -c: those of the services that have a
real server with an address of this host.`

// openServer returns this host as a real server.
func openServer(stateDir string) (*realserver.Server, realserver.Persistence, error) {
	files := realserver.Persistence{Root: "/"}
	identity, err := sysctl.Identity()
	if err != nil {
		return nil, files, err
	}
	store := realserver.Store{Dir: stateDir, Identity: identity, Record: files.Record()}
	return &realserver.Server{System: realserver.Linux{}, Store: store}, files, nil
}

func newRealserver() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "realserver",
		Short: "Set up a real server for direct routing, tunnelling or NAT",
		Long:  realserverLong,
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newRealserverUp(), newRealserverDown(), newRealserverStatus())
	return cmd
}

func newRealserverUp() *cobra.Command {
	var f realserverFlags
	var persist, printOnly bool
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Add the virtual addresses to this real server",
		Long: `Add virtual addresses to this real server, besides those already set up. It is safe to run repeatedly. If a step fails,
the previous ones are undone. Exit status: 0 everything is set up, 1 something is not.`,
		Example: `  lvs-ha realserver up --vip 202.99.59.110
  lvs-ha realserver up --mode tun --vip 192.0.2.10 --vip 2001:db8::10 --persist
  lvs-ha realserver up --mode nat --vip 192.0.2.10 --director 192.168.10.254
  lvs-ha realserver up -c /etc/lvs-ha/lvs-ha.hcl --print`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), realserverTimeout)
			defer cancel()
			out := cmd.OutOrStdout()
			w, err := f.wanted(ctx, cmd.Flags().Changed, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			if printOnly {
				script, err := realserver.ShellScript(w)
				fmt.Fprint(out, script)
				return err
			}
			server, files, err := openServer(f.stateDir)
			if err != nil {
				return err
			}
			unlock, err := server.Store.Lock(ctx)
			if err != nil {
				return err
			}
			defer unlock()
			if persist { // refuse before changing anything
				if _, err := files.Files(w); err != nil {
					return err
				}
			}
			report, err := server.Up(ctx, w)
			if err != nil {
				return err
			}
			writeReport(out, report, "nothing to do: already set up")
			switch {
			case persist:
				if err := persistServer(out, server, files); err != nil {
					return err
				}
			case len(report.Steps) > 0 && files.Written():
				fmt.Fprintln(out, "note: the files for the next boot are unchanged; use --persist to update them too")
			}
			status, err := server.Status(ctx, w)
			if err != nil {
				return err
			}
			return writeRealserverStatus(out, status, false)
		},
	}
	f.register(cmd)
	cmd.Flags().BoolVar(&persist, "persist", false, "also write the files that set it up at boot")
	cmd.Flags().BoolVar(&printOnly, "print", false, "print a shell script instead of changing anything")
	cmd.MarkFlagsMutuallyExclusive("persist", "print")
	return cmd
}

func newRealserverDown() *cobra.Command {
	var vips []string
	var stateDir string
	var persist, printOnly bool
	cmd := &cobra.Command{
		Use:   "down",
		Short: "Undo what up did",
		Long: `Undo what up did on this real server, for some addresses or for all. What existed before, or has been changed by other
means since, is left as is.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), realserverTimeout)
			defer cancel()
			out := cmd.OutOrStdout()
			addresses, err := parseVIPs(vips)
			if err != nil {
				return err
			}
			server, files, err := openServer(stateDir)
			if err != nil {
				return err
			}
			if printOnly {
				report, err := server.PlanDown(ctx, addresses)
				if err != nil {
					return err
				}
				fmt.Fprint(out, realserver.UndoScript(report))
				return nil
			}
			unlock, err := server.Store.Lock(ctx)
			if err != nil {
				return err
			}
			defer unlock()
			report, err := server.Down(ctx, addresses)
			if err == nil || len(report.Steps) > 0 {
				writeReport(out, report, "nothing to undo")
			}
			if err != nil {
				return err
			}
			if persist {
				return persistServer(out, server, files)
			}
			if len(report.Steps) > 0 && files.Written() {
				fmt.Fprintln(out, "note: the files written by --persist still apply at the next boot; use --persist to update them too")
			}
			return nil
		},
	}
	cmd.Flags().StringArrayVar(&vips, "vip", nil, "virtual `address`; may be repeated (default: all)")
	registerStateDir(cmd, &stateDir)
	cmd.Flags().BoolVar(&persist, "persist", false, "also remove the files that set it up at boot")
	cmd.Flags().BoolVar(&printOnly, "print", false, "print a shell script instead of changing anything")
	cmd.MarkFlagsMutuallyExclusive("persist", "print")
	return cmd
}

func newRealserverStatus() *cobra.Command {
	var f realserverFlags
	var output string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Check the setup of this real server",
		Long: `Check the setup of this real server and show the command that fixes each problem. Without --vip and -c, check what up
set up. Exit status: 0 no problems, 1 something is wrong.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), realserverTimeout)
			defer cancel()
			if output != "table" && output != "json" {
				return fmt.Errorf("--output %q: want table or json", output)
			}
			w, err := f.wanted(ctx, cmd.Flags().Changed, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			server, _, err := openServer(f.stateDir)
			if err != nil {
				return err
			}
			status, err := server.Status(ctx, w)
			if err != nil {
				return err
			}
			if output == "table" {
				return writeRealserverStatus(cmd.OutOrStdout(), status, true)
			}
			encoder := json.NewEncoder(cmd.OutOrStdout())
			encoder.SetIndent("", "  ")
			if err := encoder.Encode(status); err != nil {
				return err
			}
			return failing(!status.OK)
		},
	}
	f.register(cmd)
	cmd.Flags().StringVarP(&output, "output", "o", "table", "output format: table or json")
	return cmd
}
