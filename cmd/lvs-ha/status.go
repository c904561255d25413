package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/supervisor"
	"github.com/spf13/cobra"
)

const statusLong = `Show the state of the running daemon: problems first, then VRRP instances, connection sync and virtual services.
Name instances, sync groups or services to limit the tables to them, and to see an instance's timers, counters and
last 50 transitions; --state limits them to the real servers in a state. Problems and the exit status always cover everything.

Exit status: 0 OK, 1 wrong usage, 2 degraded (there are problems), 3 lvs-ha is not running, 4 state unknown (lvs-ha is
running but does not answer, or permission denied). 3 and 4 are as for LSB init scripts.`

// Exit statuses of the status command.
const (
	statusDegraded   = 2
	statusNotRunning = 3
	statusUnknown    = 4
)

func newStatus() *cobra.Command {
	var runtimeDir, output, state string
	cmd := &cobra.Command{
		Use:   "status [NAME…]",
		Short: "Show the state of the running daemon",
		Long:  statusLong,
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			status, err := api.NewClient(supervisor.RuntimeDir(runtimeDir).APISocket()).Status(cmd.Context())
			if err != nil {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return completions(status, args), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if output != "table" && output != "json" {
				return fmt.Errorf("--output %q: want table or json", output)
			}
			now := time.Now()
			status, err := api.NewClient(supervisor.RuntimeDir(runtimeDir).APISocket()).Status(cmd.Context())
			if err != nil {
				return unavailable(err)
			}
			shown, err := only(status, args)
			if err != nil {
				return err
			}
			if shown, err = onlyState(shown, state); err != nil {
				return err
			}
			problems := problemsOf(status)
			if output == "json" {
				encoder := json.NewEncoder(cmd.OutOrStdout())
				encoder.SetIndent("", "  ")
				err = encoder.Encode(shown)
			} else {
				page := statusPage{now: now, color: onTerminal(os.Stdout), detailed: len(args) > 0, all: status.VRRP}
				_, err = io.WriteString(cmd.OutOrStdout(), page.render(shown, problems))
			}
			if err != nil {
				return fmt.Errorf("writing the status: %w", err)
			}
			if len(problems) > 0 {
				return &exitError{status: statusDegraded}
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "table", "output format: table or json")
	cmd.Flags().StringVar(&state, "state", "", "show only real servers in this state: "+strings.Join(serverStates, ", "))
	_ = cmd.RegisterFlagCompletionFunc("state", cobra.FixedCompletions(serverStates, cobra.ShellCompDirectiveNoFileComp))
	registerRuntimeDir(cmd, &runtimeDir)
	return cmd
}

// unavailable returns the exit status for a daemon that does not respond.
func unavailable(err error) error {
	status := statusUnknown
	if errors.Is(err, api.ErrNotRunning) {
		status = statusNotRunning
	}
	return &exitError{status, fmt.Errorf("lvs-ha: %w", err)}
}

// serverStates are the values of --state.
var serverStates = []string{"up", "down", "unknown", "drain", "disable", "weight"}

// onlyState limits a status to the real servers in a state, or with an operator's order.
func onlyState(s api.Status, state string) (api.Status, error) {
	if state == "" {
		return s, nil
	}
	if !slices.Contains(serverStates, state) {
		return s, fmt.Errorf("--state %q: want %s", state, strings.Join(serverStates, ", "))
	}
	services := s.Services
	s.VRRP, s.Services, s.Sync, s.Foreign, s.Notify = nil, nil, nil, nil, nil
	for _, v := range services {
		v.Servers = slices.DeleteFunc(slices.Clone(v.Servers), func(r api.Server) bool {
			return r.State.String() != state && (r.Override == nil || string(r.Override.Action) != state)
		})
		if len(v.Servers) > 0 {
			s.Services = append(s.Services, v)
		}
	}
	return s, nil
}

// completions returns the names of instances, sync groups and services that are not yet arguments.
func completions(s api.Status, args []string) []string {
	taken := map[string]bool{}
	for _, name := range args {
		taken[name] = true
	}
	var names []string
	add := func(name, what string) {
		if !taken[name] {
			names = append(names, plain(name)+"\t"+what)
		}
	}
	for _, v := range s.VRRP {
		add(v.Name, fmt.Sprintf("VRRP instance, %s", v.State))
	}
	for _, v := range s.VRRP {
		if v.Group != "" {
			add(v.Group, "sync group")
			taken[v.Group] = true
		}
	}
	for _, v := range s.Services {
		add(v.Name, "virtual service "+v.ServiceKey.String())
	}
	return names
}

// only limits a status to the named instances, sync groups and services.
func only(s api.Status, names []string) (api.Status, error) {
	if len(names) == 0 {
		return s, nil
	}
	wanted := map[string]bool{}
	for _, name := range names {
		wanted[name] = false
	}
	all := s
	s.VRRP, s.Services, s.Sync, s.Foreign, s.Notify = nil, nil, nil, nil, nil
	for _, v := range all.VRRP {
		_, named := wanted[v.Name]
		_, inGroup := wanted[v.Group]
		if inGroup = inGroup && v.Group != ""; inGroup {
			wanted[v.Group] = true
		}
		if named || inGroup {
			wanted[v.Name] = true
			s.VRRP = append(s.VRRP, v)
		}
	}
	for _, v := range all.Services {
		if _, ok := wanted[v.Name]; ok {
			wanted[v.Name] = true
			s.Services = append(s.Services, v)
		}
	}
	for _, d := range all.Sync {
		if wanted[d.Instance] {
			s.Sync = append(s.Sync, d)
		}
	}
	for _, name := range names {
		if !wanted[name] {
			return s, fmt.Errorf("no VRRP instance, sync group or virtual service named %q", name)
		}
	}
	return s, nil
}
