package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/lab"
)

// checked has one real server that responds and one that does not.
const checked = `
director { repair_interval = "1h" }

vrrp "web" {
  interface          = "eth0"
  virtual_router_id  = 10
  advertise_interval = "100ms"
  addresses          = ["192.0.2.100/24"]
  connection_sync {
    interface = "eth0"
    sync_id   = 7
  }
}

virtual_service "http" {
  address    = "192.0.2.100:80"
  scheduler  = "rr"
  forwarding = "nat"
  health_check "tcp" {
    interval = "100ms"
    rise     = 1
    fall     = 1
  }
  real_server "192.0.2.1:8081" {}
  real_server "192.0.2.1:8082" {}
}
`

const cleared = "director { repair_interval = \"1h\" }\n"

func (p *place) plan() answer { return p.asked("plan", "-c", p.path("lvs-ha.hcl")) }

func (p *place) wantPlan(status int, want string) {
	p.t.Helper()
	got := p.plan()
	p.wantAnswer(got, status)
	if diff := cmp.Diff(strings.TrimPrefix(want, "\n"), got.stdout); diff != "" {
		p.t.Errorf("the plan differs (-want +got):\n%s", diff)
	}
}

// ipvsadm runs the original ipvsadm.
func (p *place) ipvsadm(args ...string) {
	p.t.Helper()
	if got := p.run(append([]string{"ipvsadm"}, args...)...); got.status != 0 {
		p.t.Fatalf("ipvsadm %q: %+v", args, got)
	}
}

func TestKernelPlanFromFirstStartToRemoval(t *testing.T) {
	lab.Need(t, lab.Kernel)
	p := newPlace(t)
	ln, err := p.host.Listen("tcp", "192.0.2.1:8081")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	p.configure(checked)
	p.wantPlan(2, `
lvs-ha is not running: assuming that all health checks pass.

  + service tcp 192.0.2.100:80 "http" scheduler rr
    + server 192.0.2.1:8081 forward nat weight 1
    + server 192.0.2.1:8082 forward nat weight 1
  + connection sync: start backup on eth0, sync id 7 (not running)

4 to add, 0 to change, 0 to remove.
`)

	d := p.start()
	d.awaitStatus("in service", func(s api.Status) bool {
		if !isMaster(s) || len(s.Services) != 1 || len(s.Services[0].Servers) != 2 || len(s.Sync) != 1 || s.Sync[0].Role.String() != "master" {
			return false
		}
		servers := s.Services[0].Servers
		return servers[0].Present && servers[1].State == healthcheck.Down && !servers[1].Present
	})
	const nothing = "Nothing to do.\n"
	p.wantPlan(0, nothing)

	p.ipvsadm("-A", "-f", "5", "-s", "sh")
	p.wantPlan(0, "    service fwmark 5 ipv4 is foreign and left alone\n\n"+nothing)
	p.ipvsadm("-D", "-f", "5")

	p.ipvsadm("-e", "-t", "192.0.2.100:80", "-r", "192.0.2.1:8081", "-m", "-w", "9")
	d.awaitLog("weight 9 -> 1") // otherwise the next plan may include it
	p.wantPlan(0, nothing)

	next := strings.NewReplacer(
		`"rr"`, `"wlc"`, `8081" {}`, `8081" { weight = 3 }`, `8082" {}`, `8082" {}
  real_server "192.0.2.1:8083" {}`, `sync_id   = 7`, `sync_id   = 8`, `"100ms"
  addresses`, `"200ms"
  addresses`).Replace(checked) + "timeouts { udp = \"60s\" }\n"
	p.configure(next)
	p.wantPlan(2, `
1 real server is not checked yet and counts as passing.

  ~ service tcp 192.0.2.100:80 "http"
      scheduler: rr -> wlc
    + server 192.0.2.1:8083 forward nat weight 1
    ~ server 192.0.2.1:8081
        weight: 1 -> 3
  - connection sync: stop master on eth0, sync id 7, group 224.0.0.81, port 8848, ttl 1, maxlen 1472 (configured differently)
  + connection sync: start master on eth0, sync id 8 (configured differently)
  ~ timeout udp: 300s -> 60s
  ~ vrrp "web"
      advertise_interval: 100ms -> 200ms
      connection_sync.sync_id: 7 -> 8

2 to add, 4 to change, 1 to remove.
`)
	js := p.asked("plan", "-c", p.path("lvs-ha.hcl"), "-o", "json")
	p.wantAnswer(js, 2)
	var plan api.Plan
	if err := json.Unmarshal([]byte(js.stdout), &plan); err != nil || !plan.Running || plan.Assumed != 1 || len(plan.Table) != 3 ||
		len(plan.Sync) != 2 || len(plan.Timeouts) != 1 || len(plan.Settings) != 1 {
		t.Errorf("%v: %s", err, js.stdout)
	}

	// Without a named configuration, the plan is for a reload of the daemon's configuration.
	if diff := cmp.Diff(p.plan().stdout, p.asked("plan").stdout); diff != "" {
		t.Errorf("what a reload would do differs (-with -c +without):\n%s", diff)
	}
	p.configure(strings.Replace(next, "wlc", "fastest", 1))
	p.wantAnswer(p.asked("plan"), 1, "Invalid scheduler", `"fastest" is not known here`)
	p.configure(next)

	p.wantAnswer(p.asked("reload"), 0, "reloaded\n")
	p.wantPlan(0, nothing)
	p.wantAnswer(p.asked("plan"), 0, nothing)
	p.wantAnswer(p.run("ipvsadm", "-L", "-n", "--timeout"), 0, "900 120 60")

	// After the daemon has stopped, lvs-ha may still remove its table.
	d.stop()
	p.configure(cleared)
	p.wantPlan(2, `
lvs-ha is not running: assuming that all health checks pass.

  - service tcp 192.0.2.100:80

0 to add, 0 to change, 1 to remove.
`)
}
