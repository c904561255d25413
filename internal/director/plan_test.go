package director

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/ipvs"
	"github.com/lvs-ha/lvs-ha/ipvs/ipvstest"
	connsync "github.com/lvs-ha/lvs-ha/sync"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

func (b *bench) plan(cfg *config.Config) api.Plan {
	b.t.Helper()
	p, err := b.director.Plan(b.t.Context(), cfg)
	if err != nil {
		b.t.Fatal(err)
	}
	return p
}

func (b *bench) planStopped(cfg *config.Config) (api.Plan, error) {
	open := func(context.Context) (Kernel, error) { return b.kernel, b.noKernel }
	return PlanStopped(b.t.Context(), open, cfg, filepath.Join(b.dir, "director.json"))
}

// said summarizes a plan, with one line per action.
func said(p api.Plan) []string {
	var lines []string
	for _, s := range p.Table {
		verb, what, _ := strings.Cut(string(s.Action), "-")
		line := verb + " " + what + " "
		if what == "server" {
			line += s.Destination.ServerKey.String() + " of "
		}
		line += s.Service.ServiceKey.String()
		if s.Options != "" {
			line += " " + s.Options
		}
		for i, c := range s.Changes {
			line += fmt.Sprintf("%s %s %s -> %s", []string{":", ","}[min(i, 1)], c.Field, c.From, c.To)
		}
		lines = append(lines, line)
	}
	for _, s := range p.Sync {
		lines = append(lines, s.String())
	}
	for _, c := range p.Timeouts {
		lines = append(lines, fmt.Sprintf("timeout %s %s -> %s", c.Field, c.From, c.To))
	}
	for _, s := range p.Settings {
		lines = append(lines, s.Action+" "+s.What)
		for _, c := range s.Changes {
			lines = append(lines, fmt.Sprintf("  %s %s -> %s", c.Field, c.From, c.To))
		}
	}
	return lines
}

func wantPlan(t *testing.T, p api.Plan, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, said(p)); diff != "" {
		t.Errorf("the plan differs (-want +got):\n%s", diff)
	}
	if p.Empty() != (len(want) == 0) {
		t.Errorf("Empty is %v", p.Empty())
	}
}

func TestPlanWithoutDirectorAssumesPassingChecks(t *testing.T) {
	foreign := ipvstest.State(ipvs.Entry{Service: ipvs.Service{ServiceKey: ipvs.ServiceByMark(ipvs.IPv4, 7), Scheduler: "sh", Netmask: 1<<32 - 1}})
	b := newBench(t)
	b.kernel.Kernel = ipvstest.New(foreign)
	b.cfg.Timeouts = &ipvs.Timeouts{TCP: 600, UDP: 300}
	p, err := b.planStopped(b.cfg)
	if err != nil {
		t.Fatal(err)
	}
	wantPlan(t, p,
		"add service tcp 202.99.59.110:80 scheduler rr",
		"add server 192.168.10.1:80 of tcp 202.99.59.110:80 forward nat weight 1",
		"add server 192.168.10.2:80 of tcp 202.99.59.110:80 forward nat weight 1",
		"timeout tcp 900s -> 600s")
	if p.Running || p.Assumed != 2 || !slices.Equal(p.Foreign, []api.ServiceKey{api.ServiceKey(foreign.ServiceKey)}) {
		t.Errorf("got %+v", p)
	}
	if len(b.kernel.Steps()) != 0 {
		t.Error("planning touched the table")
	}
}

func TestPlanAfterLoadIsEmpty(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.start(false)
		defer b.stop()
		wantPlan(t, b.plan(b.cfg)) // no check has run yet
		b.judge(first, healthcheck.Up)
		b.judge(second, healthcheck.Down)
		p := b.plan(b.cfg)
		wantPlan(t, p)
		if !p.Running || p.Assumed != 0 {
			t.Errorf("got %+v", p)
		}
	})
}

func TestPlanUsesCheckStates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.start(false)
		defer b.stop()
		b.judge(first, healthcheck.Up)
		b.judge(second, healthcheck.Down)
		next := twoServers()
		vs := &next.Services[0]
		vs.Scheduler = "wlc"
		vs.RealServers[0].Weight = 3
		third := vs.RealServers[1]
		third.Port = 81
		vs.RealServers = append(vs.RealServers, third)
		p := b.plan(next)
		wantPlan(t, p,
			"edit service tcp 202.99.59.110:80: scheduler rr -> wlc",
			"add server 192.168.10.2:81 of tcp 202.99.59.110:80 forward nat weight 1",
			"edit server 192.168.10.1:80 of tcp 202.99.59.110:80: weight 1 -> 3")
		if p.Assumed != 1 {
			t.Errorf("%d servers count as passing, want 1", p.Assumed)
		}
		b.cfg = next
		if _, err := b.director.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		wantPlan(t, b.plan(next))
	})
}

func TestPlanRemovesServicesOfEarlierConfiguration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.start(false)
		next := twoServers()
		next.Services = nil
		next.VRRP = []config.VRRP{{Instance: vrrp.Instance{Name: "web"}}}
		want := "delete service tcp 202.99.59.110:80"
		wantPlan(t, b.plan(next), want, `add vrrp "web"`)
		b.stop()
		p, err := b.planStopped(next)
		if err != nil {
			t.Fatal(err)
		}
		wantPlan(t, p, want)
	})
}

func TestPlanRefusesLikeReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.start(false)
		defer b.stop()
		b.cfg = &config.Config{}
		if _, err := b.director.Reload(t.Context()); !errors.Is(err, errEmptied) {
			t.Errorf("the reload of an emptied file: %v", err)
		}
		for _, cfg := range []*config.Config{nil, b.cfg} {
			if _, err := b.director.Plan(t.Context(), cfg); !errors.Is(err, errEmptied) {
				t.Errorf("the plan of an emptied file: %v", err)
			}
		}
	})
}

func TestPlanOmitsUnsetFields(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.cfg = withSync()
		b.start(false)
		defer b.stop()
		next := withSync()
		next.VRRP[0].ConnectionSync = nil
		next.VRRP[0].UnicastPeers = []netip.Addr{netip.MustParseAddr("192.0.2.2")}
		p := b.plan(next)
		want := []api.Setting{{What: `vrrp "web"`, Action: "edit", Changes: []api.Change{
			{Field: "connection_sync.interface", From: "eth1", To: "none"},
			{Field: "connection_sync.learn_time", From: "3s", To: "none"},
			{Field: "connection_sync.sync_id", From: "51", To: "none"},
			{Field: "unicast_peers[0]", From: "none", To: "192.0.2.2"},
		}}}
		if diff := cmp.Diff(want, p.Settings); diff != "" {
			t.Errorf("the settings differ (-want +got):\n%s", diff)
		}
	})
}

func TestPlanOfOtherSettings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.cfg.VRRP = []config.VRRP{
			{Instance: vrrp.Instance{Name: "web", Priority: 150, AuthPass: "old"}},
			{Instance: vrrp.Instance{Name: "gone"}},
		}
		b.cfg.NotifyWebhooks = []config.NotifyWebhook{{Name: "chat", URL: "https://chat.example.com/old"}}
		b.start(false)
		defer b.stop()
		next := twoServers()
		next.Director.Grace = 9 * time.Second
		next.Sysctl.Manage = true
		next.VRRP = []config.VRRP{
			{Instance: vrrp.Instance{Name: "web", Priority: 100, AuthPass: "new"}},
			{Instance: vrrp.Instance{Name: "fresh"}},
		}
		next.Services[0].Checks[0].Interval = 5 * time.Second
		next.NotifyWebhooks = []config.NotifyWebhook{{Name: "chat", URL: "https://chat.example.com/new"}}
		wantPlan(t, b.plan(next),
			// Servers for which the new check has no result yet count as passing.
			"add server 192.168.10.1:80 of tcp 202.99.59.110:80 forward nat weight 1",
			"add server 192.168.10.2:80 of tcp 202.99.59.110:80 forward nat weight 1",
			"edit director", "  grace 5s -> 9s",
			"edit sysctl", "  manage false -> true",
			`edit vrrp "web"`, "  auth_pass (hidden) -> (hidden)", "  priority 150 -> 100",
			`add vrrp "fresh"`,
			`edit notify_webhook "chat"`, "  url https://chat.example.com/(hidden) -> https://chat.example.com/(hidden)",
			`edit virtual_service "http"`, "  health_check[0].interval 1s -> 5s",
			`delete vrrp "gone"`)
	})
}

func TestPlanOfConnectionSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.cfg = withSync()
		b.cfg.Services = nil
		p, err := b.planStopped(b.cfg)
		if err != nil {
			t.Fatal(err)
		}
		wantPlan(t, p, "start backup on eth1, sync id 51 (not running)")
		b.start(false)
		defer b.stop()
		b.vrrpState(vrrp.Master)
		wantPlan(t, b.plan(b.cfg))
		if p, err = b.planStopped(b.cfg); err != nil {
			t.Fatal(err)
		}
		wantPlan(t, p) // in either role
		next := withSync()
		next.Services = nil
		next.VRRP[0].ConnectionSync.Daemon = connsync.Daemon{Interface: "eth2", SyncID: 51}
		wantPlan(t, b.plan(next),
			"stop master on eth1, sync id 51 (configured differently)",
			"start master on eth2, sync id 51 (configured differently)",
			`edit vrrp "web"`, "  connection_sync.interface eth1 -> eth2")
	})
}

func TestPlanWithoutIPVS(t *testing.T) {
	b := newBench(t)
	b.noKernel = errors.New("this kernel has no IPVS")
	if _, err := b.planStopped(b.cfg); !errors.Is(err, b.noKernel) {
		t.Errorf("got error %v", err)
	}
	p, err := b.planStopped(&config.Config{VRRP: []config.VRRP{{Instance: vrrp.Instance{Name: "web"}}}})
	if err != nil {
		t.Errorf("without anything for IPVS to do: %v", err)
	}
	wantPlan(t, p)
}

func TestPlanOfOwnFileMatchesReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.start(false)
		defer b.stop()
		wantPlan(t, b.plan(nil))
		b.cfg = twoServers()
		b.cfg.Services[0].Scheduler = "sh"
		p := b.plan(nil)
		wantPlan(t, p, "edit service tcp 202.99.59.110:80: scheduler rr -> sh")
		if len(p.Services) != 1 || p.Services[0].Name != "http" {
			t.Errorf("the services are called %+v", p.Services)
		}
		b.cfgErr = errors.New("no such scheduler")
		if _, err := b.director.Plan(t.Context(), nil); !errors.Is(err, b.cfgErr) {
			t.Errorf("a bad file: %v", err)
		}
	})
}
