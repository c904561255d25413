package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/lab"
)

const managedConfig = `
director { repair_interval = "1h" }
sysctl { manage = true }
vrrp "web" {
  interface         = "eth0"
  virtual_router_id = 51
  addresses         = ["202.99.59.110/24"]
}
virtual_service "http" {
  address    = "202.99.59.110:80"
  protocol   = "tcp"
  scheduler  = "wlc"
  forwarding = "nat"
  real_server "192.168.10.1:80" {}
}
`

// TestHostSysctlManage checks that the daemon sets the parameters for NAT, sets them again if another program changes one, and
// restores them when it stops.
func TestHostSysctlManage(t *testing.T) {
	lab.Need(t, lab.Host)
	p := newLVSHA(t, "202.99.59.109/24")
	dir := t.TempDir()
	file := filepath.Join(dir, "lvs-ha.hcl")
	if err := os.WriteFile(file, []byte(managedConfig), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := p.host.Sysctl("net.ipv4.ip_forward", "0"); err != nil {
		t.Fatal(err)
	}
	read := func() string {
		out, err := p.host.Command(t.Context(), "cat", "/proc/sys/net/ipv4/ip_forward").Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(out))
	}
	cmd := p.host.Command(t.Context(), p.binary, "run", "-c", file, "--runtime-dir", filepath.Join(dir, "run"))
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := lab.Await(ctx, func() bool { return read() == "1" }); err != nil {
		t.Fatalf("forwarding is not set: %v", err)
	}
	// The kernel reports the change.
	if err := p.host.Sysctl("net.ipv4.ip_forward", "0"); err != nil {
		t.Fatal(err)
	}
	if err := lab.Await(ctx, func() bool { return read() == "1" }); err != nil {
		t.Fatalf("forwarding is not set again: %v", err)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the daemon ended with %v", err)
	}
	if got := read(); got != "0" {
		t.Errorf("after SIGTERM forwarding is %s, want its previous value", got)
	}
}
