package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/ipvs"
)

func overridden(servers ...api.Server) api.Overridden {
	var out api.Overridden
	for _, r := range servers {
		out.Servers = append(out.Servers, api.OverriddenServer{Service: "http", Server: r.ServerKey, Outcome: api.OverrideInForce})
	}
	return out
}

func TestOverrideOutput(t *testing.T) {
	one := overridden(wellServer("192.0.2.21"))
	until := one
	until.Servers = slices.Clone(one.Servers)
	until.Servers[0].Until = time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local)
	none := overridden(wellServer("192.0.2.21"))
	none.Servers[0].Outcome = api.OverrideNone
	for _, tt := range []struct {
		request api.OverrideRequest
		result  api.Overridden
		want    string
	}{
		{api.OverrideRequest{Action: api.OverrideDrain}, one, "http/192.0.2.21:80: draining\n"},
		{api.OverrideRequest{Action: api.OverrideDisable}, until, "http/192.0.2.21:80: disabled until 2026-01-02 03:04:05\n"},
		{api.OverrideRequest{Action: api.OverrideWeight, Weight: 0}, one, "http/192.0.2.21:80: weight 0\n"},
		{api.OverrideRequest{Action: api.OverrideEnable}, one, "http/192.0.2.21:80: enabled\n"},
		{api.OverrideRequest{Action: api.OverrideEnable}, none, "http/192.0.2.21:80: no order in force\n"},
	} {
		var out strings.Builder
		if printOverridden(&out, tt.request, tt.result); out.String() != tt.want {
			t.Errorf("%+v: %q, want %q", tt.request, out.String(), tt.want)
		}
	}
}

// TestDrainWaits reads a status every half second until the servers have no connections.
func TestDrainWaits(t *testing.T) {
	drained := &api.Override{Action: api.OverrideDrain}
	status := func(protocol ipvs.Protocol, active, inactive uint32, o *api.Override) api.Status {
		s := wellStatus()
		r := &s.Services[0].Servers[0]
		s.Services[0].Protocol, r.Active, r.Inactive, r.Override = protocol, active, inactive, o
		return s
	}
	unread, removed := status(ipvs.TCP, 0, 0, drained), status(ipvs.TCP, 5, 5, drained)
	unread.Problems = []api.Problem{{What: api.ProblemUnread}}
	removed.Services[0].Servers[0].Present = false
	for name, tt := range map[string]struct {
		statuses []api.Status
		reads    int
		fails    bool
	}{
		"tcp":             {[]api.Status{status(ipvs.TCP, 2, 9, drained), status(ipvs.TCP, 1, 9, drained), status(ipvs.TCP, 0, 9, drained)}, 3, false},
		"udp":             {[]api.Status{status(ipvs.UDP, 0, 9, drained), status(ipvs.UDP, 0, 0, drained)}, 2, false},
		"unread counters": {[]api.Status{unread, status(ipvs.TCP, 0, 0, drained)}, 2, false},
		"the deadline":    {[]api.Status{status(ipvs.TCP, 5, 5, drained), removed}, 2, false},
		"enabled again":   {[]api.Status{status(ipvs.TCP, 5, 5, drained), status(ipvs.TCP, 5, 5, nil)}, 2, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := 0
				read := func(context.Context) (api.Status, error) {
					n++
					return tt.statuses[n-1], nil
				}
				var out strings.Builder
				err := awaitDrained(t.Context(), &out, read, overridden(wellServer("192.0.2.21")))
				if (err != nil) != tt.fails || n != tt.reads || (out.Len() > 0) == tt.fails {
					t.Errorf("%v after %d reads, %q", err, n, out.String())
				}
			})
		})
	}
	failing := func(context.Context) (api.Status, error) { return api.Status{}, api.ErrNotRunning }
	if err := awaitDrained(t.Context(), nil, failing, overridden()); !errors.Is(err, api.ErrNotRunning) {
		t.Errorf("without a director: %v", err)
	}
}

func TestServersAreCompleted(t *testing.T) {
	s := wellStatus()
	s.Services[0].Servers[1].State = healthcheck.Unknown
	got := serverCompletions(s, []string{"http/192.0.2.21:80"})
	if len(got) != 1 || !strings.HasPrefix(got[0], "http/192.0.2.22:80\t") {
		t.Errorf("completions %q", got)
	}
}

// TestDrainedServersAreNoProblem: an operator who has taken a server out of service expects that it fails.
func TestDrainedServersAreNoProblem(t *testing.T) {
	s := wellStatus()
	fail(&s.Services[0].Servers[1], "status 503")
	s.Services[0].Servers[1].Override = &api.Override{Action: api.OverrideDrain, By: "alice", Since: night.Add(-5 * time.Minute), Reason: "kernel upgrade"}
	if problems := s.Troubles(); len(problems) != 0 {
		t.Errorf("problems: %+v", problems)
	}
	page := rendered(s)
	for _, want := range []string{"alice", "5m0s ago", "kernel upgrade", "status 503"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
	s.Services[0].Servers[1].Override.Action = api.OverrideWeight
	if problems := s.Troubles(); len(problems) != 1 {
		t.Errorf("problems with another weight: %+v", problems)
	}
}
