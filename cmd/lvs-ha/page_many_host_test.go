package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/lab"
	"github.com/lvs-ha/lvs-ha/internal/page"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// manyOverview returns an overview of services with 40 real servers each, and of instances.
func manyOverview(services, instances int) api.Overview {
	now := time.Now()
	o := api.Overview{Version: "v1", Node: "lb1", MayWrite: true, Now: now, Started: now.Add(-time.Hour), Config: api.Config{Path: "/etc/lvs-ha/lvs-ha.hcl", Loaded: now.Add(-time.Minute)}, Troubles: []api.Trouble{}}
	for i := range instances {
		v := api.Instance{Name: fmt.Sprintf("router-%d", i), Interface: fmt.Sprintf("eth%d", i/250), VirtualRouterID: uint8(i%250 + 1), Family: "ipv4", Version: 3, State: vrrp.Backup, Reason: "startup",
			Since: now.Add(-time.Hour), Priority: 100, EffectivePriority: 100, Addresses: []string{fmt.Sprintf("10.%d.1.%d/32", i/250, i%250+1)}, AdvertiseInterval: api.Duration(time.Second), MasterAddress: "192.0.2.2", MasterPriority: 150}
		if i == instances-1 {
			v.State, v.Reason = vrrp.Initialize, "interface-down"
			o.Troubles = append(o.Troubles, api.Trouble{Grave: true, What: "vrrp " + v.Name, Text: "INITIALIZE: interface-down"})
		}
		o.VRRP = append(o.VRRP, v)
	}
	for i := range services {
		s := api.ServiceOverview{Name: fmt.Sprintf("service-%d", i), Address: fmt.Sprintf("TCP 10.%d.1.%d:80", i/250, i%250+1), Present: true, Quorum: api.Quorum{State: healthcheck.Up, Live: 40, Needed: 1},
			Servers: api.ServerCounts{All: 40, Up: 40, Active: uint64(1000 + i)}, Stats: api.Stats{ConnectionRate: 250, InByteRate: 1e6, OutByteRate: 3e7}}
		s.Scheduler = "wlc"
		if i%100 == 7 {
			s.Servers.Up, s.Servers.Down = 37, 3
			o.Troubles = append(o.Troubles, api.Trouble{What: "service " + s.Name, Text: "10.0.0.7:80 down: http: connection refused"})
		}
		o.Services = append(o.Services, s)
	}
	return o
}

// TestHostPageOfManyServers: what needs attention is at the top, the rest can be found, and the page has no more elements
// than an operator can read.
func TestHostPageOfManyServers(t *testing.T) {
	lab.Need(t, lab.Host)
	for _, tt := range []struct{ services, instances int }{{25, 2}, {1000, 1000}} {
		socket := filepath.Join(t.TempDir(), "api.sock")
		l, err := net.Listen("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		mux := http.NewServeMux()
		for path, handler := range page.Pages() {
			mux.Handle(path, handler)
		}
		overview, err := json.Marshal(manyOverview(tt.services, tt.instances))
		if err != nil {
			t.Fatal(err)
		}
		mux.HandleFunc("/v1/overview", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(overview) })
		server := &http.Server{Handler: mux}
		go func() { _ = server.Serve(l) }()
		t.Cleanup(func() { _ = server.Close() })

		ctx := browse(t, socket)
		last := fmt.Sprintf("router-%d", tt.instances-1)
		see(t, ctx, ".card", last)
		see(t, ctx, "#services tbody tr", "service-7")
		number := func(script string) float64 {
			t.Helper()
			n, err := chromedp.Run(ctx, chromedp.Evaluate[float64](script))
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		if rows, cards := number("document.querySelectorAll('#services tbody tr').length"), number("document.querySelectorAll('.card').length"); rows > 200 || cards > 24 {
			t.Errorf("%v rows and %v cards", rows, cards)
		}
		const firstPaint = "performance.getEntriesByName('first-contentful-paint')"
		eventually(t, "the browser has painted", func() bool { return number(firstPaint+".length") > 0 })
		t.Logf("%d real servers, %d instances: first paint after %.0f ms, an update takes %.1f ms", 40*tt.services, tt.instances,
			number(firstPaint+"[0].startTime"), number("(() => { const began = performance.now(); show(); document.body.offsetHeight; return performance.now() - began; })()"))
		do(t, ctx, chromedp.SendKeys("#filter", fmt.Sprintf("service-%d", tt.services-1)))
		see(t, ctx, "#shown", fmt.Sprintf("1 of %d", tt.services))
		see(t, ctx, ".card", last)
		if tt.instances > 24 {
			do(t, ctx, chromedp.SendKeys("#routerfilter", "router-500"))
			see(t, ctx, ".card", "router-500")
		}
		do(t, ctx, chromedp.Click("#theme"))
		see(t, ctx, "#services tbody tr", fmt.Sprintf("service-%d", tt.services-1))
		do(t, ctx, chromedp.EmulateViewport(390, 844), chromedp.SendKeys("#filter", "\b\b\b\b\b"))
		see(t, ctx, "#shown", fmt.Sprint(tt.services))
	}
}
