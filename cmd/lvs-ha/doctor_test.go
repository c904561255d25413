package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/doctor"
	"github.com/lvs-ha/lvs-ha/internal/lab"
)

// diagnosis is the output of doctor for a host.
type diagnosis struct {
	Status   int              `json:"exit_status"`
	Findings []doctor.Finding `json:"findings"`
}

// codes returns the findings that are not ok as "severity code", without repetition.
func (d diagnosis) codes() []string {
	var out []string
	for _, f := range d.Findings {
		if c := string(f.Severity) + " " + f.Code; f.Severity != doctor.OK && !slices.Contains(out, c) {
			out = append(out, c)
		}
	}
	return out
}

func (d diagnosis) find(code string) doctor.Finding {
	i := slices.IndexFunc(d.Findings, func(f doctor.Finding) bool { return f.Code == code })
	if i < 0 {
		return doctor.Finding{}
	}
	return d.Findings[i]
}

func (p lvsha) diagnose(config string, args ...string) diagnosis {
	p.t.Helper()
	file := filepath.Join(p.t.TempDir(), "lvs-ha.hcl")
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		p.t.Fatal(err)
	}
	args = append([]string{"doctor", "-o", "json", "-c", file, "--runtime-dir", p.t.TempDir()}, args...)
	cmd := p.host.Command(p.t.Context(), p.binary, args...)
	cmd.Stderr = os.Stderr
	out, _ := cmd.Output()
	var d diagnosis
	if err := json.Unmarshal(out, &d); err != nil {
		p.t.Fatalf("%v: %v: %s", args, err, out)
	}
	if got := cmd.ProcessState.ExitCode(); got != d.Status {
		p.t.Errorf("exit status %d, but it says %d", got, d.Status)
	}
	return d
}

// pairOf creates two director hosts and a real server on one LAN.
func pairOf(t *testing.T) (director, peer, real lvsha) {
	t.Helper()
	host := newLVSHAs(t)
	return host("lb1", "10.0.0.1/24"), host("lb2", "10.0.0.2/24"), host("web1", "10.0.0.11/24")
}

const vrrpOnly = `
vrrp "web" {
  interface          = "eth0"
  virtual_router_id  = 51
  advertise_interval = "100ms"
  addresses          = [%q]
}
`

// become runs the daemon until it is master, and returns its runtime directory.
func (p lvsha) become(config string, vip string) string {
	p.t.Helper()
	dir := p.t.TempDir()
	runtimeDir := filepath.Join(dir, "run")
	file := filepath.Join(dir, "lvs-ha.hcl")
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		p.t.Fatal(err)
	}
	cmd := p.host.Command(context.Background(), p.binary, "run", "-c", file, "--runtime-dir", runtimeDir)
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		_ = cmd.Kill() // its workers end with the lab
		_ = cmd.Wait()
	})
	ctx, cancel := context.WithTimeout(p.t.Context(), 20*time.Second)
	defer cancel()
	err := lab.Await(ctx, func() bool {
		out, err := p.host.Command(ctx, "ip", "-br", "address", "show", "dev", "eth0").Output()
		return err == nil && strings.Contains(string(out), vip+"/")
	})
	if err != nil {
		p.t.Fatalf("%s is not master: %v", p.host.Name(), err)
	}
	return runtimeDir
}

func TestHostDoctorHearsThePeer(t *testing.T) {
	lab.Need(t, lab.Host)
	lb1, lb2, _ := pairOf(t)
	ours := fmt.Sprintf(vrrpOnly, "10.0.0.100/24")
	if f := lb1.diagnose(ours).find("peer-silent"); f.Severity != doctor.Info {
		t.Errorf("on a silent network: %+v", f)
	}
	runtimeDir := lb2.become(ours, "10.0.0.100")
	d := lb1.diagnose(ours)
	if f := d.find("peer-heard"); f.Severity != doctor.OK || f.Subject != "" && f.Subject != "web" || !strings.Contains(f.What, "10.0.0.2") {
		t.Errorf("with a master: %+v in %q", f, d.codes())
	}
	if f := lb2.diagnose(ours, "--runtime-dir", runtimeDir).find("master"); f.Severity != doctor.OK {
		t.Errorf("on the master: %+v", f)
	}
	if f := lb1.diagnose(fmt.Sprintf(vrrpOnly, "10.0.0.200/24")).find("addresses-differ"); f.Severity != doctor.Warning || f.Subject != "web" {
		t.Errorf("with a foreign router: %+v", f)
	}
	other := strings.Replace(strings.Replace(ours, "{", "{\n  version = 2", 1), `"100ms"`, `"1s"`, 1)
	if f := lb1.diagnose(other).find("advert-refused"); !strings.Contains(f.What, "version-mismatch") {
		t.Errorf("with another version: %+v", f)
	}
}

const natByLB1 = `
virtual_service "http" {
  address    = "10.0.0.1:80"
  scheduler  = "rr"
  forwarding = "nat"
  health_check "tcp" {}
  real_server "10.1.0.11:80" {}
}
`

func TestHostDoctorFixes(t *testing.T) {
	lab.Need(t, lab.Host)
	lb1, _, web1 := pairOf(t)
	config := strings.ReplaceAll(natByLB1, "10.1.0.11", "10.0.0.11")
	if err := lb1.host.Sysctl("net.ipv4.ip_forward", "0"); err != nil {
		t.Fatal(err)
	}
	d := lb1.diagnose(config)
	if f := d.find("ip-forward"); f.Severity != doctor.Error || d.Status != doctor.ExitErrors {
		t.Errorf("without forwarding: %+v, exit status %d", f, d.Status)
	}
	if f := d.find("check-failed"); f.Severity != doctor.Warning || f.Subject != "10.0.0.11:80" {
		t.Errorf("with a server that is down: %+v", f)
	}
	ln, err := web1.host.Listen("tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	d = lb1.diagnose(config, "--fix")
	if f := d.find("ip-forward"); !f.Fixed {
		t.Errorf("after --fix: %+v", f)
	}
	if f := d.find("check"); f.Severity != doctor.OK {
		t.Errorf("with a server that is up: %+v", f)
	}
	if f := lb1.diagnose(config).find("ip-forward"); f.Severity != doctor.OK {
		t.Errorf("the next time: %+v", f)
	}
	away := strings.ReplaceAll(natByLB1, "10.1.0.11", "10.0.0.99")
	if f := lb1.diagnose(away).find("server-silent"); f.Subject != "10.0.0.99" {
		t.Errorf("with a missing server: %+v", f)
	}
	if f := lb1.diagnose(natByLB1).find("server-no-route"); f.Subject != "10.1.0.11" {
		t.Errorf("without a route: %+v", f)
	}
}

// TestHostDoctorAsksNeighbors checks that doctor probes the servers of a service without health checks: the kernel's neighbour
// entries may be old.
func TestHostDoctorAsksNeighbors(t *testing.T) {
	lab.Need(t, lab.Host)
	lb1, _, _ := pairOf(t)
	if out, err := lb1.host.Command(t.Context(), "ip", "neigh", "replace", "10.0.0.11", "dev", "eth0", "nud", "failed").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	d := lb1.diagnose(`
virtual_service "dns" {
  address    = "10.0.0.1:53"
  protocol   = "udp"
  scheduler  = "rr"
  forwarding = "dr"
  real_server "10.0.0.11:53" {}
  real_server "10.0.0.99:53" {}
}
`)
	var silent []string
	for _, f := range d.Findings {
		if f.Code == "server-silent" {
			silent = append(silent, f.Subject)
		}
	}
	if !slices.Equal(silent, []string{"10.0.0.99"}) {
		t.Errorf("not answering: %q, want only 10.0.0.99", silent)
	}
}

func TestHostDoctorTable(t *testing.T) {
	lab.Need(t, lab.Host)
	lb1, _, _ := pairOf(t)
	lb1.want(1, []string{"doctor", "-c", "/nonexistent.hcl"}, "/nonexistent.hcl")
	lb1.want(1, []string{"doctor", "-o", "yaml"}, `--output "yaml": want table or json`)
	file := filepath.Join(t.TempDir(), "lvs-ha.hcl")
	if err := os.WriteFile(file, []byte(fmt.Sprintf(vrrpOnly, "10.9.0.1/24")+"\nvrrp \"b\" {\n  interface = \"eth7\"\n  virtual_router_id = 52\n  addresses = [\"10.9.0.2/24\"]\n}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	lb1.want(1, []string{"doctor", "-c", file, "-q"},
		"error    interface-missing  ",
		"                            remedy: ip link show # ",
		"warning  address-outside    ",
		"1 error, ")
	lb1.prefix = []string{"setpriv", "--bounding-set", "-net_raw,-net_admin"}
	lb1.want(1, []string{"doctor", "-c", file}, "error    capability         missing capability CAP_NET_RAW", "info     not-seen           ")
}

// TestKernelDoctor sets up a single NAT director using only doctor.
func TestKernelDoctor(t *testing.T) {
	lab.Need(t, lab.Kernel)
	binary, err := lab.Binary()
	if err != nil {
		t.Fatal(err)
	}
	l := lab.NewT(t, "command")
	host := func(name string, nics ...lab.NIC) *lab.Node {
		h, err := l.Host(name, nics...)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	nic := func(name, bridge, address string) lab.NIC {
		b, err := l.Bridge(bridge)
		if err != nil {
			t.Fatal(err)
		}
		return lab.NIC{Name: name, Bridge: b, Addresses: lab.Prefixes(address)}
	}
	outside, inside := nic("eth0", "outside", "10.0.0.1/24"), nic("eth1", "inside", "10.1.0.1/24")
	lb1 := lvsha{t: t, host: host("lb1", outside, inside), binary: binary}
	client := host("client", lab.NIC{Name: "eth0", Bridge: outside.Bridge, Addresses: lab.Prefixes("10.0.0.9/24")})
	web := host("web1", lab.NIC{Name: "eth0", Bridge: inside.Bridge, Addresses: lab.Prefixes("10.1.0.11/24")})
	if err := web.AddRoute(netip.Prefix{}, netip.MustParseAddr("10.1.0.1")); err != nil {
		t.Fatal(err)
	}
	ln, err := web.Listen("tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, "hello")
			_ = conn.Close()
		}
	}()
	for _, key := range []string{"ip_forward", "conf.eth1.forwarding"} {
		if err := lb1.host.Sysctl("net.ipv4."+key, "0"); err != nil {
			t.Fatal(err)
		}
	}
	fetch := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		conn, err := client.DialContext(ctx, "tcp", "10.0.0.1:80")
		if err != nil {
			return err
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
			return err
		}
		got, err := io.ReadAll(conn)
		if err == nil && string(got) != "hello" {
			err = fmt.Errorf("read %q", got)
		}
		return err
	}
	for _, args := range []string{"-A -t 10.0.0.1:80 -s rr", "-a -t 10.0.0.1:80 -r 10.1.0.11:80 -m"} {
		if out, err := lb1.host.Command(t.Context(), "ipvsadm", strings.Fields(args)...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	if err := fetch(); err == nil {
		t.Error("NAT works without forwarding: the test would detect nothing")
	}
	d := lb1.diagnose(natByLB1, "--fix")
	for _, code := range []string{"ipvs", "scheduler"} {
		if f := d.find(code); f.Severity != doctor.OK {
			t.Errorf("%s: %+v", code, f)
		}
	}
	if f := d.find("ip-forward"); !f.Fixed {
		t.Errorf("ip-forward: %+v in %q", f, d.codes())
	}
	if f := d.find("nat-gateway"); !strings.Contains(f.What, "[10.1.0.1]") {
		t.Errorf("nat-gateway: %+v", f)
	}
	if !slices.Contains(d.codes(), "info expire-nodest") {
		t.Errorf("net.ipv4.vs was not checked: %q", d.codes())
	}
	if err := fetch(); err != nil {
		t.Errorf("after --fix: %v", err)
	}
	mh := strings.Replace(natByLB1, `"rr"`, `"twos"`, 1)
	if f := lb1.diagnose(mh).find("scheduler"); f.Severity != doctor.Error {
		t.Errorf("a scheduler that this kernel does not have: %+v", f)
	}
}
