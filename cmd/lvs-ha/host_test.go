package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/lab"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

const gateway = `
vrrp "gateway" {
  interface          = "eth0"
  virtual_router_id  = 10
  advertise_interval = "100ms"
  priority           = 150
  addresses          = ["192.0.2.100/24"]
}
`

const withService = gateway + `
virtual_service "http" {
  address    = "192.0.2.100:80"
  forwarding = "nat"
  real_server "192.0.2.7:80" {}
}
`

func isMaster(s api.Status) bool { return len(s.VRRP) == 1 && s.VRRP[0].State == vrrp.Master }

func TestHostStatusAndReload(t *testing.T) {
	lab.Need(t, lab.Host)
	p := newPlace(t)
	p.configure(gateway)
	d := p.start()
	d.awaitStatus("master", isMaster)

	p.wantAnswer(p.asked("status"), 0, "gateway", "eth0", "master", "150")
	js := p.asked("status", "-o", "json")
	p.wantAnswer(js, 0)
	var status api.Status
	if err := json.Unmarshal([]byte(js.stdout), &status); err != nil || !isMaster(status) {
		t.Errorf("%v: %s", err, js.stdout)
	}

	if looked := p.asked("doctor"); !strings.Contains(looked.stderr, "the running lvs-ha uses "+p.path("lvs-ha.hcl")+"\n") {
		t.Errorf("doctor names no configuration: %+v", looked)
	}

	p.configure(strings.Replace(gateway, "150", "120", 1))
	p.wantAnswer(p.asked("reload"), 0, "reloaded\n")
	s := d.awaitStatus("priority 120", func(s api.Status) bool { return isMaster(s) && s.VRRP[0].Priority == 120 })
	if since := s.VRRP[0].Since; !since.Equal(status.VRRP[0].Since) {
		t.Errorf("a reload of the priority moved the state: master since %v, before since %v", since, status.VRRP[0].Since)
	}

	// An invalid configuration is rejected: its diagnostics are printed, the previous one remains in use, and status
	// reports the rejection.
	p.configure(strings.Replace(gateway, "eth0", "eth 0", 1))
	p.wantAnswer(p.asked("reload"), 1, "Invalid interface", "lvs-ha.hcl line 3, in vrrp \"gateway\":", `"eth 0"`)
	p.wantAnswer(p.asked("status"), 2, "the last reload was refused", "Invalid interface", "master")
	d.awaitLog(`level=ERROR msg="configuration error" worker=director file=` + p.path("lvs-ha.hcl") + " line=3 ")

	// SIGHUP reloads too, without output.
	if err := d.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	d.awaitLog("reload requested by signal")
	p.configure(gateway)
	if err := d.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	d.awaitStatus("priority 150 and no complaint", func(s api.Status) bool {
		return isMaster(s) && s.VRRP[0].Priority == 150 && s.Config.ReloadError == ""
	})

	// A script that cannot be run takes the instance out of service: the reload says so.
	p.configure(withTracks(`track_script "gone" { command = ["/nonexistent"] }`, "  track \"gone\" {}\n"))
	warned := p.asked("reload")
	if warned.status != 0 || warned.stdout != "reloaded\n" || strings.Count(warned.stderr, "\n") != 1 ||
		!strings.HasPrefix(warned.stderr, "warning: track_script gone cannot be run") || !strings.Contains(warned.stderr, "gateway cannot be master") {
		t.Errorf("%+v", warned)
	}
	d.awaitLog(`level=WARN msg="configuration warning"`)
	d.awaitStatus("a fault", inState(vrrp.Initialize))
}

func TestHostTimedStop(t *testing.T) {
	lab.Need(t, lab.Host)
	p := newPlace(t)
	p.configure(gateway)
	d := p.start()
	d.awaitStatus("master", isMaster)
	if took := d.stop(); took > time.Second {
		t.Errorf("it took %v", took)
	}
	if code := d.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	if out := d.stdout.text(); out != "" {
		t.Errorf("on stdout: %q", out)
	}
	for line := range strings.Lines(d.stderr.text()) {
		if !strings.Contains(line, "level=") || strings.Contains(line, "level=ERROR") {
			t.Errorf("in the log of a good life: %s", line)
		}
	}
	p.wantAnswer(p.asked("status"), 3, "lvs-ha is not running")
	if got := p.run("ip", "-o", "address", "show", "dev", "eth0").stdout; strings.Contains(got, "192.0.2.100") {
		t.Errorf("the virtual address is left:\n%s", got)
	}
}

func TestHostSecondInstanceIsRefused(t *testing.T) {
	lab.Need(t, lab.Host)
	p := newPlace(t)
	p.configure(gateway)
	d := p.start()
	before := d.awaitStatus("master", isMaster)
	for _, dir := range []string{"run", "another"} {
		got := p.lvsha("run", "-c", p.path("lvs-ha.hcl"), "--runtime-dir", p.path(dir))
		p.wantAnswer(got, 1, fmt.Sprintf("lvs-ha: another lvs-ha is running in this network namespace, process %d: stop it first", d.cmd.Process.Pid))
	}
	after := d.awaitStatus("master", isMaster)
	if !after.Started.Equal(before.Started) || !after.VRRP[0].Since.Equal(before.VRRP[0].Since) {
		t.Error("the first one was disturbed")
	}
}

func TestHostInvalidConfigurationAtStartChangesNothing(t *testing.T) {
	lab.Need(t, lab.Host)
	p := newPlace(t)
	p.configure(strings.Replace(gateway, "priority ", "priorty ", 1))
	before := p.run("ip", "-d", "address").stdout
	p.wantAnswer(p.asked("run", "-c", p.path("lvs-ha.hcl")), 1, "Unsupported argument", `Did you mean "priority"?`)
	if after := p.run("ip", "-d", "address").stdout; after != before {
		t.Errorf("the interfaces were touched:\n%s", after)
	}
	if _, err := os.Stat(p.path("run")); !os.IsNotExist(err) {
		t.Errorf("the runtime directory was made: %v", err)
	}
}

func TestHostWaitsForMissingInterface(t *testing.T) {
	lab.Need(t, lab.Host)
	p := newPlace(t)
	p.configure(strings.Replace(gateway, `"eth0"`, `"eth7"`, 1))
	d := p.start()
	s := d.awaitStatus("waiting", func(s api.Status) bool {
		return len(s.VRRP) == 1 && s.VRRP[0].Reason == string(vrrp.ReasonInterfaceMissing)
	})
	if s.VRRP[0].State == vrrp.Master || s.VRRP[0].State == vrrp.Backup {
		t.Errorf("without its interface the instance is %s", s.VRRP[0].State)
	}
	d.awaitLog(`level=ERROR msg="state changed"`)
	p.wantAnswer(p.asked("status"), 2, "eth7")
	link := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "eth7", Flags: 0}, PeerName: "peer7"}
	if err := p.host.Netlink().LinkAdd(link); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"peer7", "eth7"} {
		if err := p.host.Up(name); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.host.AddAddress("eth7", lab.Prefixes("192.0.2.7/24")[0]); err != nil {
		t.Fatal(err)
	}
	d.awaitStatus("master", isMaster)
}

func TestHostVRRPWorksWithoutIPVS(t *testing.T) {
	lab.Need(t, lab.Host)
	if lab.HasIPVS() == nil {
		t.Skip("this kernel has IPVS")
	}
	const sentence = "this kernel has no IPVS: run `modprobe ip_vs`"
	p := newPlace(t)
	p.configure(withService + "director { repair_interval = \"100ms\" }\n")
	d := p.start()
	d.awaitStatus("master, without IPVS", func(s api.Status) bool {
		return isMaster(s) && s.VRRP[0].EffectivePriority == 1 && len(s.Problems) == 1 && s.Problems[0].What == "ipvs" && strings.HasPrefix(s.Problems[0].Text, sentence)
	})
	p.wantAnswer(p.asked("status"), 2, sentence, "not in the kernel", "master")
	p.wantAnswer(p.asked("plan", "-c", p.path("lvs-ha.hcl")), 1, sentence)
	p.wantAnswer(p.asked("reload"), 0, "reloaded\n")
	d.awaitStatus("master", isMaster)
	if n := strings.Count(d.stderr.text(), "no IPVS"); n != 1 {
		t.Errorf("it is logged %d times", n)
	}
	if took := d.stop(); took > promptly {
		t.Errorf("stopping took %v", took)
	}
}

func TestHostReportsMissingCapability(t *testing.T) {
	lab.Need(t, lab.Host)
	service := strings.TrimPrefix(withService, gateway)
	for _, tt := range []struct{ drop, configuration, lacks string }{
		{"-net_admin", gateway, "CAP_NET_ADMIN"},
		{"-net_raw", gateway, "CAP_NET_RAW"},
		{"-net_admin,-net_raw", gateway, "CAP_NET_ADMIN and CAP_NET_RAW"},
		{"-net_admin,-net_raw", service, "CAP_NET_ADMIN"},
	} {
		p := newPlace(t)
		p.configure(tt.configuration)
		got := p.run("setpriv", "--bounding-set", tt.drop, "lvs-ha", "run", "-c", p.path("lvs-ha.hcl"), "--runtime-dir", p.path("run"))
		p.wantAnswer(got, 1, "lvs-ha: this process lacks "+tt.lacks+": run it as root, or with AmbientCapabilities=")
		if n := strings.Count(got.stderr, "\n"); n != 1 {
			t.Errorf("without %s it says %d lines, want one:\n%s", tt.lacks, n, got.stderr)
		}
	}
}

func TestHostRunsUnprivilegedWithRequiredCapabilities(t *testing.T) {
	lab.Need(t, lab.Host)
	p := newPlace(t)
	p.configure(gateway)
	program, err := exec.LookPath("lvs-ha")
	if err != nil {
		t.Fatal(err)
	}
	const nobody = 65534
	for _, path := range []string{program, p.dir} {
		for ; path != os.TempDir() && path != "/"; path = filepath.Dir(path) {
			if err := os.Chmod(path, 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, path := range []string{p.dir, p.path("lvs-ha.hcl")} {
		if err := os.Chown(path, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	const caps = "+net_admin,+net_raw"
	d := p.start("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--inh-caps", caps, "--ambient-caps", caps)
	d.awaitStatus("master", isMaster)
	p.awaitIP("-o address show dev eth0", "192.0.2.100")
	if took := d.stop(); took > promptly {
		t.Errorf("stopping took %v", took)
	}
}
