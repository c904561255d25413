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

// realserverTimeout bounds a whole call.
const realserverTimeout = time.Minute

const realserverLong = `Prepare this machine as a real server, or take that back.

With direct routing (dr) the virtual addresses come on lo as host addresses, and no device answers ARP for them. With
tunnelling (tun) they come on the kernel's tunnel device, which is set up for packets of clients that live elsewhere.
With nat nothing is changed: the way back is looked at.

The addresses are named by --vip, or found in a director's configuration by -c: what the real servers in it with an
address of this machine serve.`

// openServer is the real server that this machine is.
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
		Short: "Prepare a real server for direct routing, tunnelling or NAT",
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
		Short: "Bring the virtual addresses up on this real server",
		Long: `Bring virtual addresses up on this real server, in addition to those that are up. It may be called again and again.
If a step fails, those before it are taken back. Exit status: 0 all is as it should be, 1 something is not.`,
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
			if persist { // refused before anything is done
				if _, err := files.Files(w); err != nil {
					return err
				}
			}
			report, err := server.Up(ctx, w)
			if err != nil {
				return err
			}
			writeReport(out, report, "nothing to do: it is so already")
			switch {
			case persist:
				if err := persistServer(out, server, files); err != nil {
					return err
				}
			case len(report.Steps) > 0 && files.Written():
				fmt.Fprintln(out, "note: the next boot brings up only what --persist wrote: with --persist the files are changed too")
			}
			status, err := server.Status(ctx, w)
			if err != nil {
				return err
			}
			return writeRealserverStatus(out, status, false)
		},
	}
	f.register(cmd)
	cmd.Flags().BoolVar(&persist, "persist", false, "write the files that bring it up at boot")
	cmd.Flags().BoolVar(&printOnly, "print", false, "print a shell script in place of doing anything")
	cmd.MarkFlagsMutuallyExclusive("persist", "print")
	return cmd
}

func newRealserverDown() *cobra.Command {
	var vips []string
	var stateDir string
	var persist, printOnly bool
	cmd := &cobra.Command{
		Use:   "down",
		Short: "Take back what up did",
		Long: `Take back what up did on this real server, for some addresses or for all, exactly: what was there before it, or was
changed by somebody else since, stays.`,
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
				writeReport(out, report, "nothing to take back")
			}
			if err != nil {
				return err
			}
			if persist {
				return persistServer(out, server, files)
			}
			if len(report.Steps) > 0 && files.Written() {
				fmt.Fprintln(out, "note: what --persist wrote comes back at the next boot: with --persist the files are changed too")
			}
			return nil
		},
	}
	cmd.Flags().StringArrayVar(&vips, "vip", nil, "virtual `address`; may be repeated (default: all)")
	registerStateDir(cmd, &stateDir)
	cmd.Flags().BoolVar(&persist, "persist", false, "remove the files that bring it up at boot, too")
	cmd.Flags().BoolVar(&printOnly, "print", false, "print a shell script in place of doing anything")
	cmd.MarkFlagsMutuallyExclusive("persist", "print")
	return cmd
}

func newRealserverStatus() *cobra.Command {
	var f realserverFlags
	var output string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show what is right and what is wrong on this real server",
		Long: `Show what is right and what is wrong on this real server, with the command that mends it. Without --vip and -c it is
about what up brought up. Exit status: 0 all is right, 1 something is wrong.`,
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
	cmd.Flags().StringVarP(&output, "output", "o", "table", "table or json")
	return cmd
}
