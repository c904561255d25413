package main

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/ipvs"
	connsync "github.com/lvs-ha/lvs-ha/sync"
)

func aPlan() api.Plan {
	web := ipvs.Service{ServiceKey: ipvs.ServiceAt(ipvs.TCP, netip.MustParseAddrPort("192.0.2.1:80")), Scheduler: "rr", Netmask: 1<<32 - 1}
	mail, old := web, web
	mail.Port, old.Port = 25, 8080
	server := ipvs.Destination{DestinationKey: ipvs.DestinationKey{Address: netip.MustParseAddr("10.0.0.1"), Port: 80}, Weight: 1}
	gone := server
	gone.Port = 81
	return api.Plan{
		Running:  true,
		Services: []api.NamedService{{Name: "http", ServiceKey: api.ServiceKey(web.ServiceKey)}},
		Assumed:  2,
		Table: []api.Step{
			api.StepOf(ipvs.Step{Action: ipvs.AddService, Service: web}),
			api.StepOf(ipvs.Step{Action: ipvs.AddDestination, Service: web, Destination: server}),
			api.StepOf(ipvs.Step{Action: ipvs.EditDestination, Service: mail, Destination: server, Changes: []ipvs.Change{{Field: "weight", From: "1", To: "5"}}}),
			api.StepOf(ipvs.Step{Action: ipvs.DeleteDestination, Service: mail, Destination: gone}),
			api.StepOf(ipvs.Step{Action: ipvs.DeleteService, Service: old}),
		},
		Foreign:  []api.ServiceKey{api.ServiceKey(ipvs.ServiceByMark(ipvs.IPv6, 7))},
		Sync:     []api.SyncStep{{Action: "start", SyncSettings: api.SyncSettings{Role: connsync.Backup, Interface: "eth1"}, Reason: "not running"}},
		Timeouts: []api.Change{{Field: "tcp", From: "900s", To: "600s"}},
		Settings: []api.Setting{{What: `vrrp "web"`, Action: "edit", Changes: []api.Change{{Field: "priority", From: "150", To: "100"}}}},
	}
}

func printed(t *testing.T, color bool, p api.Plan) string {
	t.Helper()
	var out strings.Builder
	printer := planPrinter{w: &out, color: color}
	if err := printer.print(p); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestPlanPrintsADiff(t *testing.T) {
	want := `2 real servers are not checked yet and count as passing.

  + service tcp 192.0.2.1:80 "http" scheduler rr
    + server 10.0.0.1:80 forward nat weight 1
  ~ service tcp 192.0.2.1:25
    ~ server 10.0.0.1:80
        weight: 1 -> 5
    - server 10.0.0.1:81
  - service tcp 192.0.2.1:8080
    service fwmark 7 ipv6 is foreign and left alone
  + connection sync: start backup on eth1, sync id 0 (not running)
  ~ timeout tcp: 900s -> 600s
  ~ vrrp "web"
      priority: 150 -> 100

3 to add, 3 to change, 2 to remove.
`
	if diff := cmp.Diff(want, printed(t, false, aPlan())); diff != "" {
		t.Errorf("the text differs (-want +got):\n%s", diff)
	}
}

func TestPlanInColourHasTheSameText(t *testing.T) {
	colored := printed(t, true, aPlan())
	if !strings.Contains(colored, "\x1b[32m  + service tcp 192.0.2.1:80 \"http\" scheduler rr\x1b[0m\n") {
		t.Errorf("what is added is not green:\n%q", colored)
	}
	for _, code := range append([]string{colorOff}, signColors[adds], signColors[changes], signColors[removes], signColors[leaves]) {
		colored = strings.ReplaceAll(colored, code, "")
	}
	if diff := cmp.Diff(printed(t, false, aPlan()), colored); diff != "" {
		t.Errorf("the text differs (-plain +coloured):\n%s", diff)
	}
}
