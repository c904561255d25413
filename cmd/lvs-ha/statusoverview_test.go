package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/lab"
)

// TestHostStatusOfManyServers: their table would be too long to read, but is there for those who ask for it.
func TestHostStatusOfManyServers(t *testing.T) {
	lab.Need(t, lab.Host)
	p := newPlaces(t, 1)[0]
	var config strings.Builder
	config.WriteString(`node { name = "lb1" }
vrrp "web" {
  interface          = "eth0"
  virtual_router_id  = 10
  advertise_interval = "100ms"
  addresses          = ["192.0.2.100/24"]
}
`)
	const services = 11
	for i := range services {
		fmt.Fprintf(&config, "virtual_service \"s%d\" {\n  address = \"192.0.2.100:%d\"\n  forwarding = \"nat\"\n  dynamic \"real_server\" {\n    for_each = range(1, 101)\n    labels = [\"10.1.%d.${real_server.value}:80\"]\n    content {}\n  }\n}\n", i, 80+i, i)
	}
	p.configure(config.String())
	d := p.start()
	d.awaitStatus("master", isMaster)
	servers := func(args ...string) (n int, text string) {
		t.Helper()
		got := p.asked(append([]string{"status"}, args...)...)
		if got.status != statusDegraded { // without IPVS
			t.Fatalf("lvs-ha status %q: %+v", args, got)
		}
		return strings.Count(got.stdout, "10.1."), got.stdout
	}
	n, text := servers()
	if n > 0 || strings.Count(text, "100 of 100") != services || !strings.Contains(text, "1100 real servers") || !strings.Contains(text, "MASTER") {
		t.Errorf("%d are shown in\n%s", n, text)
	}
	if n, text := servers("s1", "s2"); n != 200 {
		t.Errorf("%d of two services are shown in\n%s", n, text)
	}
	if n, _ := servers("--state", "up"); n != 1100 {
		t.Errorf("%d of 1100 are shown", n)
	}
}

// TestOverviewOfManyProblems: their number is that of all, also if not all are in the overview.
func TestOverviewOfManyProblems(t *testing.T) {
	o := api.Overview{Node: "lb1", More: 500}
	for i := range 100 {
		o.Troubles = append(o.Troubles, api.Trouble{What: fmt.Sprintf("service s%d", i), Text: "no real server passes its checks (0 of 2)"})
	}
	page := statusPage{now: night}
	text := page.overview(o)
	for _, want := range []string{"DEGRADED, 600 problems", "service s19 ", "and 580 more"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
}
