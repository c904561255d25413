package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/lab"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// example returns an example of the documentation for one of its nodes.
func example(t *testing.T, name, node string) string {
	t.Helper()
	text, err := os.ReadFile("../../examples/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text) + "\nnode { name = \"" + node + "\" }\n"
}

func inState(want vrrp.State) func(api.Status) bool {
	return func(s api.Status) bool { return len(s.VRRP) > 0 && s.VRRP[0].State == want }
}

// TestHostTrackScript runs the example of two haproxy servers: the address follows the server that responds, and a restart of
// the director does not move it.
func TestHostTrackScript(t *testing.T) {
	lab.Need(t, lab.Host)
	places := newPlaces(t, 2)
	var webs []*lab.Web
	var daemons []*daemon
	for i, p := range places {
		web, err := p.host.Web(lab.WebConfig{Address: "127.0.0.1:8404"})
		if err != nil {
			t.Fatal(err)
		}
		webs = append(webs, web)
		p.configure(example(t, "haproxy.hcl", []string{"lb1", "lb2"}[i]))
		daemons = append(daemons, p.start())
	}
	lb1, lb2 := daemons[0], daemons[1]
	before := lb1.awaitStatus("lb1 is master", inState(vrrp.Master))
	lb2.awaitStatus("lb2 is backup", inState(vrrp.Backup))
	for _, d := range daemons {
		if log := d.stderr.text(); strings.Contains(log, "level=ERROR") || strings.Contains(log, "to=FAULT") {
			t.Errorf("a start with a good script logs an error or a fault:\n%s", log)
		}
	}
	if track := before.VRRP[0].Tracks[0]; track.Kind != vrrp.TrackScript || track.Effect != vrrp.EffectNone || track.Pending {
		t.Errorf("the track of a good script: %+v", track)
	}

	started := before.Started
	killDirector := func() {
		t.Helper()
		if err := syscall.Kill(lb1.worker("director"), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		started = lb1.awaitStatus("a new director with a result", func(s api.Status) bool {
			return s.Started.After(started) && len(s.VRRP) == 1 && len(s.VRRP[0].Tracks) == 1 && !s.VRRP[0].Tracks[0].Pending
		}).Started
		runs := webs[0].Requests()["/healthz"]
		eventually(t, "three more runs of the script", func() bool { return webs[0].Requests()["/healthz"] > runs+3 })
	}
	killDirector()
	if s := lb1.awaitStatus("lb1 is master", inState(vrrp.Master)); !s.VRRP[0].Since.Equal(before.VRRP[0].Since) {
		t.Errorf("a restart of the director moved the state: %+v", s.VRRP[0])
	}

	webs[0].SetHealthy(false)
	lb2.awaitStatus("lb2 takes over", inState(vrrp.Master))
	failed := lb1.awaitStatus("lb1 is in fault", inState(vrrp.Initialize))
	if v := failed.VRRP[0]; v.Reason != string(vrrp.ReasonTrack) || v.Tracks[0].Effect != vrrp.EffectFault {
		t.Errorf("%+v", v)
	}
	lb1.wantAnswer(lb1.asked("status"), 2, "script haproxy: exit status 22")
	killDirector()
	if s := lb1.awaitStatus("lb1 is in fault", inState(vrrp.Initialize)); !s.VRRP[0].Since.Equal(failed.VRRP[0].Since) {
		t.Errorf("a restart of the director moved the state: %+v", s.VRRP[0])
	}

	webs[0].SetHealthy(true)
	lb1.awaitStatus("lb1 is master again", inState(vrrp.Master))
	lb2.awaitStatus("lb2 is backup again", inState(vrrp.Backup))
}

// TestHostTrackFileAndProcess lowers and raises the priority.
func TestHostTrackFileAndProcess(t *testing.T) {
	lab.Need(t, lab.Host)
	p := newPlace(t)
	program := p.path("tracked-program")
	if out, err := exec.Command("cp", "/bin/sleep", program).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	p.configure(strings.Replace(gateway, "priority           = 150", `priority = 150
  track "tracked-program" {}
  track "maintenance" {}`, 1) + `
track_process "tracked-program" { weight = 20 }
track_file "maintenance" { path = "` + p.path("maintenance") + `" }
`)
	d := p.start()
	want := func(priority uint8) {
		t.Helper()
		d.awaitStatus("of the priority", func(s api.Status) bool { return isMaster(s) && s.VRRP[0].EffectivePriority == priority })
	}
	want(150)
	cmd := p.host.Command(t.Context(), program, "600")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	want(170)
	if err := os.WriteFile(p.path("maintenance"), []byte("-100\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	want(70)
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	want(50)
	if err := os.WriteFile(p.path("maintenance"), []byte("-254\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d.awaitStatus("a fault", inState(vrrp.Initialize))
	if err := os.Remove(p.path("maintenance")); err != nil {
		t.Fatal(err)
	}
	want(150)
}

// TestHostSyncGroup runs the example of a router pair: the failure of one link moves both addresses.
func TestHostSyncGroup(t *testing.T) {
	lab.Need(t, lab.Host)
	places := newPlaces(t, 2)
	attach(t, places, "eth1", "198.51.100.1/24", "198.51.100.2/24")
	lb1, lb2 := startExample(t, places, "sync-group.hcl")
	both := func(want vrrp.State) func(api.Status) bool {
		return func(s api.Status) bool {
			return len(s.VRRP) == 2 && s.VRRP[0].State == want && s.VRRP[1].State == want && s.VRRP[0].Group == "router"
		}
	}
	lb1.awaitStatus("lb1 is master of both", both(vrrp.Master))
	lb2.awaitStatus("lb2 is backup", both(vrrp.Backup))
	for _, iface := range []string{"eth1", "eth0"} {
		if err := lb1.host.Down(iface); err != nil {
			t.Fatal(err)
		}
		lb2.awaitStatus("lb2 takes over both", both(vrrp.Master))
		awaitRouted(lb2, true)
		awaitRouted(lb1, false)
		s := lb1.awaitStatus("lb1 is in fault", both(vrrp.Initialize))
		reasons := []string{s.VRRP[0].Reason, s.VRRP[1].Reason}
		if want := string(vrrp.ReasonGroupFault); (reasons[0] == want) == (reasons[1] == want) {
			t.Errorf("with %s down: %v", iface, reasons)
		}
		if err := lb1.host.Up(iface); err != nil {
			t.Fatal(err)
		}
		lb1.awaitStatus("lb1 is master of both again", both(vrrp.Master))
		lb2.awaitStatus("lb2 is backup again", both(vrrp.Backup))
		awaitRouted(lb1, true)
		awaitRouted(lb2, false)
	}
	lb1.wantAnswer(lb1.asked("status"), 0, "router", "outside, inside")

	// The successor of a killed speaker continues as master of both.
	before := lb1.awaitStatus("lb1 is master of both", both(vrrp.Master))
	standby := lb2.awaitStatus("lb2 is backup", both(vrrp.Backup))
	if err := syscall.Kill(lb1.worker("speaker"), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	lb1.awaitStatus("a new speaker adopts both", func(s api.Status) bool {
		return both(vrrp.Master)(s) && s.VRRP[0].Since.After(before.VRRP[0].Since)
	})
	lb2.awaitStatus("lb2 is backup", func(s api.Status) bool {
		return both(vrrp.Backup)(s) && s.VRRP[0].Transitions == standby.VRRP[0].Transitions
	})
}

// awaitRouted waits until a host has the example's route and rule, or neither.
func awaitRouted(d *daemon, want bool) {
	d.t.Helper()
	eventually(d.t, fmt.Sprintf("routed: %t", want), func() bool {
		route, rule := d.run("ip", "route", "show", "table", "100").stdout, d.run("ip", "rule").stdout
		return strings.HasPrefix(route, "default via 192.0.2.254 ") == want && strings.Contains(rule, "1000:\tfrom 198.51.100.0/24 lookup 100") == want
	})
}

// TestHostUnfitDirectorYields checks that a node without IPVS is not master of a service's address if another node can be.
func TestHostUnfitDirectorYields(t *testing.T) {
	lab.Need(t, lab.Host)
	if lab.HasIPVS() == nil {
		t.Skip("this kernel has IPVS")
	}
	places := newPlaces(t, 2)
	places[0].configure(withService)
	unfit := places[0].start()
	unfit.awaitStatus("master for want of another", func(s api.Status) bool {
		return isMaster(s) && s.VRRP[0].EffectivePriority == 1 && len(s.VRRP[0].Tracks) == 1 && s.VRRP[0].Tracks[0].Effect == vrrp.EffectLastResort
	})
	places[1].configure(strings.Replace(gateway, "150", "100", 1))
	fit := places[1].start()
	fit.awaitStatus("the fit one is master", isMaster)
	unfit.awaitStatus("the unfit one is backup", inState(vrrp.Backup))
}
