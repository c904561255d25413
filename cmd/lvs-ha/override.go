package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/supervisor"
	"github.com/lvs-ha/lvs-ha/ipvs"
)

const serverNameLong = `

A server is named SERVICE/SERVER, as "lvs-ha status" shows it: web/192.0.2.21:80. A name without a port selects all ports of the
address. Both names may contain wildcards: 'web-*/192.0.2.21'. An order concerns this node only: give it on both
directors of a pair, so that it is also in force after a failover.`

const orderLong = serverNameLong + ` It stays in force until "lvs-ha enable", or for the time given with --for, even
across reloads. An orderly restart of lvs-ha ends it, unless it was given with --keep; a reboot always does.

Exit status: 0 if the order is in force, 1 otherwise.`

const enableLong = serverNameLong + `

Exit status: 0 if no order is in force any more, 1 otherwise.`

// overrideCommand builds one of the commands.
type overrideCommand struct {
	request    api.OverrideRequest
	runtimeDir string
	stays      time.Duration
	deadline   time.Duration
	wait       bool
}

func newDrain() *cobra.Command {
	c := &overrideCommand{request: api.OverrideRequest{Action: api.OverrideDrain}}
	cmd := c.command("drain SERVICE/SERVER…", "Send no new connections to real servers", `Give real servers the weight 0: they receive no new connections and keep those they have.

With the schedulers dh, sh and mh (without fallback) the kernel refuses the clients that it would have sent to a drained server. Clients
of a persistent service stay with it, unless net.ipv4.vs.expire_quiescent_template is 1.`+orderLong)
	cmd.Example = `  lvs-ha drain --wait --reason 'kernel upgrade' web/192.0.2.21
  lvs-ha drain --deadline 10m --for 1h '*/192.0.2.21'`
	c.orderFlags(cmd)
	durationFlag(cmd, &c.deadline, "deadline", "remove the servers, with their remaining connections, after this time (default: never)")
	cmd.Flags().BoolVar(&c.wait, "wait", false, "return when the servers have no connections left")
	return cmd
}

func newDisable() *cobra.Command {
	c := &overrideCommand{request: api.OverrideRequest{Action: api.OverrideDisable}}
	cmd := c.command("disable SERVICE/SERVER…", "Remove real servers from their services", "Remove real servers from the kernel's table, with their connections."+orderLong)
	c.orderFlags(cmd)
	return cmd
}

func newWeight() *cobra.Command {
	c := &overrideCommand{request: api.OverrideRequest{Action: api.OverrideWeight}}
	cmd := c.command("weight SERVICE/SERVER… WEIGHT", "Override the weight of real servers", "Override the configured weight of real servers. They must still pass their checks."+orderLong)
	cmd.Args = func(_ *cobra.Command, args []string) error {
		if len(args) < 2 {
			return errors.New("name a real server as SERVICE/SERVER, and its weight")
		}
		n, err := strconv.ParseUint(args[len(args)-1], 10, 31)
		if err != nil {
			return fmt.Errorf("%q is not a weight: write a number from 0 to %d", args[len(args)-1], 1<<31-1)
		}
		c.request.Weight = uint32(n)
		return nil
	}
	c.orderFlags(cmd)
	return cmd
}

func newEnable() *cobra.Command {
	c := &overrideCommand{request: api.OverrideRequest{Action: api.OverrideEnable}}
	return c.command("enable SERVICE/SERVER…", "End drain, disable and weight", "End the orders for real servers that were given with drain, disable and weight: the configuration and the checks decide again."+enableLong)
}

func (c *overrideCommand) command(use, short, long string) *cobra.Command {
	cmd := &cobra.Command{
		Use:   use,
		Short: short,
		Long:  long,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("name a real server as SERVICE/SERVER")
			}
			return nil
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			status, err := newClient(supervisor.RuntimeDir(c.runtimeDir)).Status(cmd.Context())
			if err != nil {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return serverCompletions(status, args), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: c.run,
	}
	registerRuntimeDir(cmd, &c.runtimeDir)
	return cmd
}

func (c *overrideCommand) orderFlags(cmd *cobra.Command) {
	durationFlag(cmd, &c.stays, "for", "how long the order stays in force (default: until enable)")
	cmd.Flags().StringVar(&c.request.Reason, "reason", "", "shown by status")
	cmd.Flags().BoolVar(&c.request.Keep, "keep", false, "keep the order in force when lvs-ha is restarted")
}

func (c *overrideCommand) run(cmd *cobra.Command, args []string) error {
	for _, flag := range []struct {
		name  string
		value time.Duration
	}{{"for", c.stays}, {"deadline", c.deadline}} {
		if cmd.Flags().Changed(flag.name) && flag.value <= 0 {
			return fmt.Errorf("--%s needs a positive time, for example 10m", flag.name)
		}
	}
	r := c.request
	r.Servers, r.For, r.Deadline = args, api.Duration(c.stays), api.Duration(c.deadline)
	if r.Action == api.OverrideWeight {
		r.Servers = args[:len(args)-1]
	}
	client := newClient(supervisor.RuntimeDir(c.runtimeDir))
	result, err := client.Override(cmd.Context(), r)
	if err != nil {
		return asRefusal(err)
	}
	printOverridden(cmd.OutOrStdout(), r, result)
	if !c.wait {
		return nil
	}
	return awaitDrained(cmd.Context(), cmd.OutOrStdout(), client.Status, result)
}

func printOverridden(w io.Writer, r api.OverrideRequest, result api.Overridden) {
	for _, s := range result.Servers {
		text := map[api.OverrideAction]string{
			api.OverrideDrain: "draining", api.OverrideDisable: "disabled", api.OverrideWeight: fmt.Sprintf("weight %d", r.Weight), api.OverrideEnable: "enabled",
		}[r.Action]
		if s.Outcome == api.OverrideNone {
			text = "no order in force"
		}
		if !s.Until.IsZero() {
			text += " until " + s.Until.Local().Format(time.DateTime)
		}
		fmt.Fprintf(w, "%s/%s: %s\n", plain(s.Service), s.Server, text)
	}
}

// drainPoll is how often the connections are counted.
const drainPoll = 500 * time.Millisecond

// awaitDrained waits until the servers have no connections, or are no longer in the table. It is an error if the drain of one ends
// before.
func awaitDrained(ctx context.Context, w io.Writer, read func(context.Context) (api.Status, error), result api.Overridden) error {
	left := slices.Clone(result.Servers)
	for {
		status, err := read(ctx)
		if err != nil {
			return unavailable(err)
		}
		if !status.KernelUnknown() {
			left = slices.DeleteFunc(left, func(s api.OverriddenServer) bool {
				if r := serverIn(status, s); r == nil || r.Override == nil || connectionsOf(s, status, r) > 0 {
					return false
				}
				fmt.Fprintf(w, "%s/%s: drained\n", plain(s.Service), s.Server)
				return true
			})
		}
		for _, s := range left {
			if r := serverIn(status, s); r == nil || r.Override == nil {
				return fmt.Errorf("%s/%s: the drain ended before the connections", s.Service, s.Server)
			}
		}
		if len(left) == 0 {
			return nil
		}
		select {
		case <-time.After(drainPoll):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func serverIn(status api.Status, s api.OverriddenServer) *api.Server {
	for _, v := range status.Services {
		for i := range v.Servers {
			if v.Name == s.Service && v.Servers[i].ServerKey == s.Server {
				return &v.Servers[i]
			}
		}
	}
	return nil
}

// connectionsOf returns the connections for which a drain waits: the established ones of TCP and SCTP. The kernel counts all of UDP
// as inactive (net/netfilter/ipvs/ip_vs_proto_udp.c).
func connectionsOf(s api.OverriddenServer, status api.Status, r *api.Server) uint32 {
	if !r.Present {
		return 0
	}
	for _, v := range status.Services {
		if v.Name == s.Service && v.Protocol != ipvs.TCP && v.Protocol != ipvs.SCTP {
			return r.Active + r.Inactive
		}
	}
	return r.Active
}

// serverCompletions returns the servers that are not yet arguments, with their state.
func serverCompletions(s api.Status, args []string) []string {
	var names []string
	for _, v := range s.Services {
		for _, r := range v.Servers {
			name := plain(v.Name) + "/" + r.ServerKey.String()
			if slices.Contains(args, name) {
				continue
			}
			about := fmt.Sprintf("%s, weight %d", r.State, r.KernelWeight)
			if r.Override != nil {
				about = string(r.Override.Action) + ", " + about
			} else if r.State == healthcheck.Unknown {
				about = "not checked yet"
			}
			names = append(names, name+"\t"+about)
		}
	}
	return names
}
