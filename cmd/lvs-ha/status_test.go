package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/ipvs"
	connsync "github.com/lvs-ha/lvs-ha/sync"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

var night = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func wellServer(address string) api.Server {
	r := api.Server{State: healthcheck.Up, Since: night.Add(-time.Hour), Present: true, KernelWeight: 1, Active: 12}
	r.Address, r.Port, r.Weight, r.Forward = netip.MustParseAddr(address), 80, 1, ipvs.Masquerade
	return r
}

// wellStatus returns the status of a healthy director.
func wellStatus() api.Status {
	web := api.Instance{
		Name: "web", Interface: "eth0", Family: "ipv4", VirtualRouterID: 51, State: vrrp.Master, Reason: "preempt", Since: night.Add(-26 * time.Hour),
		Priority: 150, EffectivePriority: 150, MasterAddress: "192.0.2.1", Addresses: []string{"192.0.2.10/24", "192.0.2.11/24"},
		Dropped: map[string]uint64{"checksum": 7, "ttl": 2}, InterfaceDropped: map[string]uint64{"unknown-vrid": 4},
	}
	http := api.Service{Name: "http", Present: true, Servers: []api.Server{wellServer("192.0.2.21"), wellServer("192.0.2.22")}}
	http.ServiceKey = api.ServiceKey(ipvs.ServiceAt(ipvs.TCP, netip.MustParseAddrPort("192.0.2.10:80")))
	http.Scheduler = "wlc"
	return api.Status{
		Node: "lb1", Started: night.Add(-50 * time.Hour), Config: api.Config{Path: "/etc/lvs-ha/lvs-ha.hcl", Loaded: night.Add(-time.Minute)},
		VRRP: []api.Instance{web}, Services: []api.Service{http},
		Sync: []api.SyncDaemon{{SyncSettings: api.SyncSettings{Role: connsync.Master, Interface: "eth1", SyncID: 51}, Instance: "web"}},
	}
}

func fail(r *api.Server, detail string) {
	r.State, r.Since, r.Present, r.KernelWeight, r.Active = healthcheck.Down, night.Add(-4*time.Minute), false, 0, 0
	r.Checks = []api.Check{{Kind: "http", State: healthcheck.Down, Detail: detail}}
}

func rendered(s api.Status) string {
	page := statusPage{now: night, all: s.VRRP}
	return page.render(s, s.Troubles())
}

// TestInstalledVersionIsShown: after an upgrade of the package without `lvs-ha upgrade`, the former version still runs.
func TestInstalledVersionIsShown(t *testing.T) {
	s := wellStatus()
	s.Version = "1.4.0"
	for own, want := range map[string]bool{"1.4.0": false, "1.5.0": true, "": false} {
		page := statusPage{now: night, version: own}
		if text := page.render(s, nil); strings.Contains(text, "lvs-ha upgrade") != want {
			t.Errorf("version %q: %s", own, text)
		}
	}
}

func TestProblemsOfDegradedStatus(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*api.Status)
		what   []string
	}{
		"nothing":                 {func(*api.Status) {}, nil},
		"a problem":               {func(s *api.Status) { s.Problems = []api.Problem{{What: "ipvs", Text: "no IPVS"}} }, []string{"ipvs"}},
		"a refused reload":        {func(s *api.Status) { s.Config.ReloadError = "\nbad\n" }, []string{"configuration"}},
		"a backup":                {func(s *api.Status) { s.VRRP[0].State = vrrp.Backup }, nil},
		"an instance without use": {func(s *api.Status) { s.VRRP[0].State = vrrp.Initialize }, []string{"vrrp web"}},
		"a track at work": {func(s *api.Status) {
			s.VRRP[0].Tracks = []api.Track{{Name: "eth1", Effect: vrrp.EffectOffset, Offset: 20}}
		}, nil},
		"a failed track with a positive weight": {func(s *api.Status) { s.VRRP[0].Tracks = []api.Track{{Name: "haproxy", Failed: true}} }, []string{"vrrp web"}},
		"an address in use": {func(s *api.Status) {
			s.VRRP[0].Conflicts = []api.Conflict{{Kind: vrrp.ConflictAddress, Hardware: "02:00:00:00:00:02"}}
		}, []string{"vrrp web"}},
		"a failover": {func(s *api.Status) {
			s.VRRP[0].Tracks = []api.Track{{Kind: vrrp.TrackFailover, Effect: vrrp.EffectLastResort}}
		}, nil},
		"a failover of a sync group": {func(s *api.Status) {
			s.VRRP[0].Tracks = []api.Track{{Kind: vrrp.TrackFailover, Effect: vrrp.EffectLastResort}, {Kind: vrrp.TrackGroup, Effect: vrrp.EffectLastResort}}
		}, nil},
		"a fault of another instance of its group": {func(s *api.Status) {
			other := s.VRRP[0]
			other.Name, other.State, other.Reason = "inside", vrrp.Initialize, "interface-down"
			s.VRRP[0].State, s.VRRP[0].Reason = vrrp.Initialize, string(vrrp.ReasonGroupFault)
			s.VRRP[0].Tracks = []api.Track{{Kind: vrrp.TrackGroup, Effect: vrrp.EffectFault}}
			s.VRRP = append(s.VRRP, other)
		}, []string{"vrrp inside"}},
		"a failed track": {func(s *api.Status) {
			s.VRRP[0].State, s.VRRP[0].Reason = vrrp.Initialize, string(vrrp.ReasonTrack)
			s.VRRP[0].Tracks = []api.Track{{Name: "eth1", Effect: vrrp.EffectFault}}
		}, []string{"vrrp web"}},
		"a failed track with a weight": {func(s *api.Status) { s.VRRP[0].Tracks = []api.Track{{Effect: vrrp.EffectOffset, Offset: -20}} }, []string{"vrrp web"}},
		"a last resort":                {func(s *api.Status) { s.VRRP[0].Tracks = []api.Track{{Effect: vrrp.EffectLastResort}} }, []string{"vrrp web"}},
		"a refused address":            {func(s *api.Status) { s.VRRP[0].AddressesRefused = []string{"192.0.2.10/24"} }, []string{"vrrp web"}},
		"a virtual MAC address":        {func(s *api.Status) { s.VRRP[0].VMAC = &api.VMAC{Problem: "busy"} }, []string{"vrrp web"}},
		"a missing service":            {func(s *api.Status) { s.Services[0].Present = false }, []string{"service http"}},
		"an unread kernel": {func(s *api.Status) {
			s.Services[0].Present, s.Problems = false, []api.Problem{{What: api.ProblemUnread}}
		}, []string{api.ProblemUnread}},
		"a dead server": {func(s *api.Status) { fail(&s.Services[0].Servers[1], "status 503") }, []string{"service http"}},
		"a source that fails": {func(s *api.Status) {
			s.Services[0].Sources = []api.Source{{Name: "dns web.example.com", Known: true, Listed: 2, Error: "SERVFAIL"}}
			s.Services = append(s.Services, s.Services[0]) // with the same source
		}, []string{"discover dns web.example.com"}},
		"a source with an unusable server": {func(s *api.Status) {
			s.Services[0].Sources = []api.Source{{Name: "dns web.example.com", Known: true, Ignored: []string{"10.0.0.1:81: its port"}}}
		}, []string{"service http"}},
		"a source that was not asked yet": {func(s *api.Status) { s.Services[0].Sources = []api.Source{{Name: "dns web.example.com"}} }, nil},
		"a lost quorum":                   {func(s *api.Status) { s.Services[0].Quorum.State = healthcheck.Down }, []string{"service http"}},
		"a sorry server in reserve": {func(s *api.Status) {
			sorry := wellServer("192.0.2.29")
			sorry.Sorry, sorry.KernelWeight, sorry.Reason = true, 0, "standby"
			s.Services[0].Servers = append(s.Services[0].Servers, sorry)
		}, nil},
		"no server": {func(s *api.Status) {
			fail(&s.Services[0].Servers[0], "status 503")
			fail(&s.Services[0].Servers[1], "status 503")
			s.Problems = []api.Problem{{What: "ipvs"}}
		}, []string{"ipvs", "service http", "service http", "service http"}},
	} {
		s := wellStatus()
		tt.change(&s)
		var what []string
		for _, p := range s.Troubles() {
			what = append(what, p.What)
		}
		if !slices.Equal(what, tt.what) {
			t.Errorf("%s: problems of %q, want %q", name, what, tt.what)
		}
	}
}

func TestStatusPageOfDegradedDirector(t *testing.T) {
	s := wellStatus()
	fail(&s.Services[0].Servers[1], "status 503, want 200-299")
	s.Problems = []api.Problem{{What: "timeouts", Text: "the kernel refused", Since: night.Add(-time.Minute)}}
	s.VRRP = append(s.VRRP, api.Instance{
		Name: "gateway", Interface: "eth7", VirtualRouterID: 52, State: vrrp.Initialize, Reason: "interface-missing", Since: night.Add(-3 * time.Second),
		Priority: 150, EffectivePriority: 100, Addresses: []string{"198.51.100.1/24"}, PreemptHeld: "connection sync is still learning the connections",
		UnicastPeers: []netip.Addr{netip.MustParseAddr("198.51.100.2"), netip.MustParseAddr("198.51.100.3")},
		Group:        "edge",
		Tracks: []api.Track{
			{Name: "eth3", Kind: vrrp.TrackInterfaceLink, Reason: "up", Since: night.Add(-5 * time.Minute)},
			{Name: "eth4", Kind: vrrp.TrackInterfaceLink, Effect: vrrp.EffectOffset, Offset: -50, Reason: "down", Since: night.Add(-time.Minute)},
			{Name: "learning", Kind: vrrp.TrackConnectionSync, Effect: vrrp.EffectHold, Reason: "still learning", Since: night.Add(-time.Second)},
		},
	})
	wantGolden(t, "status.txt", rendered(s))
}

func TestSourcesOnThePage(t *testing.T) {
	for state, source := range map[string]api.Source{
		"ok":      {Known: true, Listed: 2, Answered: night.Add(-3 * time.Second)},
		"failed":  {Known: true, Listed: 2, Answered: night.Add(-3 * time.Second), Error: "SERVFAIL"},
		"waiting": {},
	} {
		s := wellStatus()
		source.Name = "dns web.example.com"
		s.Services[0].Sources = []api.Source{source}
		row := ""
		for line := range strings.Lines(rendered(s)) {
			if strings.HasPrefix(strings.TrimSpace(line), "dns web.example.com") {
				row = line
			}
		}
		since := "-"
		if source.Known {
			since = "3s"
		}
		if words := strings.Fields(row); len(words) < 4 || words[2] != state || words[3] != since {
			t.Errorf("%s: the row is %q", state, row)
		}
	}
}

func TestAbsentServersOnThePage(t *testing.T) {
	s := wellStatus()
	absent := api.AbsentServer{Override: api.Override{Action: api.OverrideDrain, By: "root", Since: night.Add(-time.Hour)}}
	absent.Address, absent.Port = netip.MustParseAddr("192.0.2.77"), 80
	s.Services[0].Absent = []api.AbsentServer{absent}
	if page := rendered(s); !strings.Contains(page, "192.0.2.77:80") || !strings.Contains(page, "drained by root") || len(s.Troubles()) > 0 {
		t.Errorf("the order for a server that is not listed is missing, or a problem:\n%s", page)
	}
}

func TestLeavingServersOnThePage(t *testing.T) {
	s := wellStatus()
	removed := wellServer("192.0.2.77")
	removed.State, removed.Since, removed.Weight, removed.KernelWeight = healthcheck.Unknown, time.Time{}, 0, 0
	removed.Reason, removed.LeavingUntil = "removed", night.Add(1500*time.Millisecond)
	s.Services[0].Leaving = []api.Server{removed}
	row := ""
	for line := range strings.Lines(rendered(s)) {
		if strings.Contains(line, "192.0.2.77:80") {
			row = line
		}
	}
	if words := strings.Fields(row); len(words) < 6 || words[2] != "0" || words[3] != "leaving" || words[5] != "12" || len(s.Troubles()) > 0 {
		t.Errorf("the row is %q; problems %+v", row, s.Troubles())
	}
	if limited, err := onlyState(s, "up"); err != nil || len(limited.Services[0].Leaving) > 0 {
		t.Errorf("with --state up: %+v, %v", limited.Services, err)
	}
}

func TestPageOfNamedInstance(t *testing.T) {
	s := wellStatus()
	v := &s.VRRP[0]
	v.Version, v.EffectivePriority, v.MasterPriority = 3, 110, 110
	v.AdvertiseInterval, v.SkewTime, v.MasterDownInterval = api.Duration(time.Second), api.Duration(570312500), api.Duration(3570312500)
	v.Transitions, v.AdvertsSent, v.AdvertsReceived, v.AnnouncementsSent = 1, 93600, 41, 10
	v.History = []api.Transition{
		{Sequence: 1, Time: night.Add(-27 * time.Hour), From: vrrp.Initialize, To: vrrp.Backup, Reason: vrrp.ReasonStartup, Priority: 150},
		{Sequence: 9, Time: night.Add(-26 * time.Hour), Lost: 7},
		{Sequence: 10, Time: night.Add(-26*time.Hour + 5*time.Millisecond), From: vrrp.Backup, To: vrrp.Master, Reason: vrrp.ReasonPreempt, Priority: 110},
	}
	s.Notify = []api.Receiver{{Name: "notify web", Delivered: 2}, {Name: "notify_webhook pager", Waiting: 1, Failed: 3, Dropped: 4, Error: "status 503"}}
	page := statusPage{now: night, detailed: true, all: s.VRRP}
	wantGolden(t, "status-instance.txt", page.render(s, s.Troubles()))
}

func wantGolden(t *testing.T, file, got string) {
	t.Helper()
	name := filepath.Join("testdata", file)
	if os.Getenv("LVS_HA_UPDATE") != "" {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; LVS_HA_UPDATE=1 writes it:\n%s", name, got)
	}
}

func TestStatusPageIsBoundedAndSafeForTerminals(t *testing.T) {
	s := wellStatus()
	s.Node, s.VRRP[0].MasterAddress, s.Config.ReloadError = "lb\x1b[2J1", "\x1b]0;pwned\a", "bad \x1b[31m\nmore"
	s.Services[0].Servers = nil
	for range 100 {
		r := wellServer("192.0.2.23")
		fail(&r, "evil\x1b[2J\n")
		s.Services[0].Servers = append(s.Services[0].Servers, r)
	}
	for n := range 100 {
		s.Problems = append(s.Problems, api.Problem{What: fmt.Sprint(n), Text: "tab\there"})
	}
	text := rendered(s)
	if strings.ContainsAny(text, "\x1b\a") {
		t.Errorf("control characters reach the terminal:\n%q", text)
	}
	if lines := strings.Count(text[:strings.Index(text, "\nVRRP")], "\n"); lines > maxTroubles+5 {
		t.Errorf("%d lines of problems, want at most %d", lines, maxTroubles+5)
	}
}

func TestNamesLimitTheStatus(t *testing.T) {
	s, err := only(wellStatus(), []string{"http"})
	if err != nil || len(s.Services) != 1 || len(s.VRRP)+len(s.Sync) != 0 {
		t.Errorf("of http: %+v, %v", s, err)
	}
	s, err = only(wellStatus(), []string{"web"})
	if err != nil || len(s.VRRP) != 1 || len(s.Sync) != 1 || len(s.Services) != 0 {
		t.Errorf("of web: %+v, %v", s, err)
	}
	grouped := wellStatus()
	grouped.VRRP = append(grouped.VRRP, grouped.VRRP[0], grouped.VRRP[0])
	grouped.VRRP[1].Name, grouped.VRRP[1].Group, grouped.VRRP[2].Name, grouped.VRRP[2].Group = "outside", "router", "inside", "router"
	if s, err = only(grouped, []string{"router"}); err != nil || len(s.VRRP) != 2 {
		t.Errorf("of a sync group: %+v, %v", s, err)
	}
	if s, err = only(grouped, []string{"inside"}); err != nil || len(s.VRRP) != 1 {
		t.Errorf("of a member: %+v, %v", s, err)
	}
	page := statusPage{now: night, all: grouped.VRRP}
	if text := page.render(s, nil); !strings.Contains(text, "outside, inside") {
		t.Errorf("the group of a shown instance lacks a member:\n%s", text)
	}
	if _, err := only(wellStatus(), []string{"webb"}); err == nil {
		t.Error("an unknown name was accepted")
	}
	var names []string
	for _, c := range completions(grouped, []string{"web", "inside"}) {
		name, _, _ := strings.Cut(c, "\t")
		names = append(names, name)
	}
	if want := []string{"outside", "router", "http"}; !slices.Equal(names, want) {
		t.Errorf("after web and inside %q complete, want %q", names, want)
	}
}

func TestExitStatusWithoutDaemon(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want int
	}{{api.ErrNotRunning, statusNotRunning}, {api.ErrNoAnswer, statusUnknown}, {errors.New("no permission"), statusUnknown}} {
		exit, ok := errors.AsType[*exitError](unavailable(fmt.Errorf("status: %w", tt.err)))
		if !ok || exit.status != tt.want {
			t.Errorf("%v: got %+v, want exit status %d", tt.err, exit, tt.want)
		}
	}
}

func TestOnlyServersInAState(t *testing.T) {
	s := wellStatus()
	fail(&s.Services[0].Servers[1], "status 503")
	s.Services[0].Servers[0].Override = &api.Override{Action: api.OverrideDrain}
	empty := s.Services[0]
	empty.Name, empty.Servers = "empty", nil
	s.Services = append(s.Services, empty)
	for state, want := range map[string]string{"up": "192.0.2.21", "down": "192.0.2.22", "drain": "192.0.2.21", "disable": "", "unknown": ""} {
		got, err := onlyState(s, state)
		if err != nil {
			t.Fatal(err)
		}
		var found string
		for _, v := range got.Services {
			for _, r := range v.Servers {
				found += r.Address.String()
			}
		}
		if found != want || len(got.VRRP) > 0 || want == "" && len(got.Services) > 0 {
			t.Errorf("%s: %d services with %q, want %q", state, len(got.Services), found, want)
		}
	}
	if len(s.Services[0].Servers) != 2 {
		t.Error("the status has been changed")
	}
	if got, err := onlyState(s, ""); err != nil || len(got.VRRP) != 1 {
		t.Errorf("without a state: %+v, %v", got, err)
	}
	if _, err := onlyState(s, "broken"); err == nil {
		t.Error("an unknown state is accepted")
	}
}
