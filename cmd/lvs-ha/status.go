package main

import (
	"context"
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
With more than 1,000 real servers, only their numbers are shown, unless services are named or --state is set.
--watch shows them again every second: in place on a terminal, otherwise one after the other, and in JSON as a line each.

Exit status: 0 OK, 1 wrong usage, 2 degraded (there are problems), 3 lvs-ha is not running, 4 state unknown (lvs-ha is
running but does not answer, or permission denied). 3 and 4 are as for LSB init scripts.`

// Exit statuses of the status command.
const (
	statusDegraded   = 2
	statusNotRunning = 3
	statusUnknown    = 4
)

func newStatus() *cobra.Command {
	var q statusQuery
	var watch time.Duration
	cmd := &cobra.Command{
		Use:   "status [NAME…]",
		Short: "Show the state of the running daemon",
		Long:  statusLong,
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			status, err := q.client().Status(cmd.Context())
			if err != nil {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return completions(status, args), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if !slices.Contains([]string{"table", "json", "keepalived-json"}, q.output) {
				return fmt.Errorf("--output %q: want table, json or keepalived-json", q.output)
			}
			if _, err := onlyState(api.Status{}, q.state); err != nil {
				return err
			}
			q.names = args
			if cmd.Flags().Changed("watch") {
				return q.watch(cmd.Context(), watch)
			}
			text, problems, err := q.ask(cmd.Context())
			if err != nil {
				return err
			}
			if _, err := io.WriteString(cmd.OutOrStdout(), text); err != nil {
				return fmt.Errorf("writing the status: %w", err)
			}
			if problems > 0 {
				return &exitError{status: statusDegraded}
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&q.output, "output", "o", "table", "output format: table, json, or keepalived-json for programs that read keepalived's")
	cmd.Flags().StringVar(&q.state, "state", "", "show only real servers in this state: "+strings.Join(serverStates, ", "))
	cmd.Flags().DurationVarP(&watch, "watch", "w", 0, "show the state again at this interval, until interrupted")
	cmd.Flags().Lookup("watch").NoOptDefVal = "1s"
	_ = cmd.RegisterFlagCompletionFunc("state", cobra.FixedCompletions(serverStates, cobra.ShellCompDirectiveNoFileComp))
	registerRuntimeDir(cmd, &q.runtimeDir)
	return cmd
}

// statusQuery says what is shown of a status, and how.
type statusQuery struct {
	runtimeDir, output, state string

	names []string
	lines bool // a JSON document takes one line
}

func (q *statusQuery) client() *api.Client { return newClient(supervisor.RuntimeDir(q.runtimeDir)) }

// newClient returns a client of the director that uses a runtime directory.
func newClient(dir supervisor.RuntimeDir) *api.Client {
	client := api.NewClient(dir.APISocket())
	client.Expected = dir.IsRunning
	return client
}

// ask returns the current status as text, and the number of problems.
func (q *statusQuery) ask(ctx context.Context) (text string, problems int, err error) {
	now := time.Now()
	page := statusPage{now: now, version: versionText(), color: onTerminal(os.Stdout), detailed: len(q.names) > 0}
	if q.output == "table" && len(q.names) == 0 && q.state == "" {
		o, err := q.client().Overview(ctx)
		if err != nil {
			return "", 0, unavailable(err)
		}
		if realServers(o) > manyServers {
			return page.overview(o), len(o.Troubles) + o.More, nil
		}
	}
	status, err := q.client().Status(ctx)
	if err != nil {
		return "", 0, unavailable(err)
	}
	shown, err := only(status, q.names)
	if err != nil {
		return "", 0, err
	}
	if shown, err = onlyState(shown, q.state); err != nil {
		return "", 0, err
	}
	all := status.Troubles()
	if q.output == "table" {
		page.all = status.VRRP
		return page.render(shown, all), len(all), nil
	}
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	if !q.lines {
		encoder.SetIndent("", "  ")
	}
	var document any = shown
	if q.output == "keepalived-json" {
		document = keepalivedInstances(shown)
	}
	if err := encoder.Encode(document); err != nil {
		return "", 0, fmt.Errorf("encoding the status: %w", err)
	}
	return b.String(), len(all), nil
}

// watch shows the status again and again. A daemon that does not answer, because it is being restarted for example, is shown too.
func (q *statusQuery) watch(ctx context.Context, interval time.Duration) error {
	if interval < minWatch {
		return fmt.Errorf("--watch=%s: the interval must be at least %s", interval, minWatch)
	}
	q.lines = true
	if _, _, err := q.ask(ctx); err != nil {
		if _, down := errors.AsType[*exitError](err); !down {
			return err // wrong usage
		}
	}
	return watchStatus(ctx, os.Stdout, interval, q.output != "table", func(ctx context.Context) string {
		text, _, err := q.ask(ctx)
		switch {
		case err == nil && q.output == "table":
			text = time.Now().Format(time.DateTime) + "\n" + text
		case err != nil && q.output != "table":
			encoded, _ := json.Marshal(map[string]string{"error": err.Error()})
			text = string(encoded) + "\n"
		case err != nil:
			text = time.Now().Format(time.DateTime) + "\n" + plain(err.Error()) + "\n"
		}
		return text
	})
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
		v.Absent, v.Leaving = nil, nil
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
