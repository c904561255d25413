package main

import (
	"strings"
	"syscall"
	"testing"

	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/lab"
)

const withRoutes = `
static_address "192.0.3.1/24" { interface = "eth0" }
static_route "10.3.0.0/16" { via = "192.0.3.9" }
` + gateway

// Routes are set with the master's addresses. Those that the kernel refuses are problems in status, which end with their cause.
// All stay in place while both workers are killed and replaced, and are gone after a stop.
func TestHostRoutesOfADirector(t *testing.T) {
	lab.Need(t, lab.Host)
	p := newPlace(t)
	route := func(via string) string {
		return strings.Replace(withRoutes, "priority ", "route \"10.2.0.0/16\" { via = \""+via+"\" }\n  priority ", 1)
	}
	p.configure(route("192.0.2.9"))
	d := p.start()
	d.awaitStatus("master", isMaster)
	shown := func() string { return p.run("ip", "route", "show", "proto", "112").stdout }
	both := "10.2.0.0/16 via 192.0.2.9 dev eth0 \n10.3.0.0/16 via 192.0.3.9 dev eth0 \n"
	eventually(t, "the routes are set", func() bool { return shown() == both })
	p.wantAnswer(p.asked("status"), 0, "MASTER")

	before := d.processes()
	for _, worker := range []string{"director", "speaker"} {
		if err := syscall.Kill(before[worker], syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	if got := shown(); got != both {
		t.Errorf("after the workers were killed: %q", got)
	}
	eventually(t, "the workers are replaced", func() bool {
		return d.child("director", before["director"]) != 0 && d.child("speaker", before["speaker"]) != 0
	})
	d.awaitStatus("master again", isMaster)
	if got := shown(); got != both {
		t.Errorf("after the workers were replaced: %q", got)
	}

	p.configure(strings.Replace(route("10.77.0.9"), "192.0.3.9", "10.78.0.9", 1))
	p.wantAnswer(p.asked("plan", "-c", p.path("lvs-ha.hcl")), 2, "static_route", "routes[0].via")
	p.wantAnswer(p.asked("reload"), 0)
	s := d.awaitStatus("two refused routes", func(s api.Status) bool {
		return isMaster(s) && len(s.VRRP[0].RoutesRefused) == 1 && len(s.Problems) == 1 && s.Problems[0].What == "static"
	})
	if text := s.VRRP[0].RoutesRefused[0] + s.Problems[0].Text; !strings.Contains(text, "10.2.0.0/16") || !strings.Contains(text, "10.3.0.0/16") {
		t.Errorf("refused: %s", text)
	}
	p.wantAnswer(p.asked("status"), 2, "refused")
	p.run("ip", "address", "add", "10.77.0.1/24", "dev", "eth0")
	p.run("ip", "address", "add", "10.78.0.1/24", "dev", "eth0")
	d.awaitStatus("no refused routes", func(s api.Status) bool { return isMaster(s) && len(s.VRRP[0].RoutesRefused)+len(s.Problems) == 0 })

	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	d.awaitEnd()
	if got := shown(); got != "" || strings.Contains(p.run("ip", "address").stdout, "192.0.3.1") {
		t.Errorf("after the stop: %q", got)
	}
}
