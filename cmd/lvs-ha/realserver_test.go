package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/lvs-ha/lvs-ha/internal/lab"
)

// lvsha runs the program on a host.
type lvsha struct {
	t      *testing.T
	host   *lab.Node
	binary string
	prefix []string // runs the program
}

func newLVSHA(t *testing.T, addresses ...string) lvsha {
	t.Helper()
	return newLVSHAs(t)("host", addresses...)
}

// newLVSHAs creates a LAN, and returns a function that adds a host to it.
func newLVSHAs(t *testing.T) func(name string, addresses ...string) lvsha {
	t.Helper()
	binary, err := lab.Binary()
	if err != nil {
		t.Fatal(err)
	}
	l := lab.NewT(t, "command")
	lan, err := l.Bridge("lan")
	if err != nil {
		t.Fatal(err)
	}
	return func(name string, addresses ...string) lvsha {
		t.Helper()
		h, err := l.Host(name, lab.NIC{Name: "eth0", Bridge: lan, Addresses: lab.Prefixes(addresses...)})
		if err != nil {
			t.Fatal(err)
		}
		return lvsha{t: t, host: h, binary: binary}
	}
}

// want runs the program, checks the exit status and that the output contains the texts, and returns the output.
func (p lvsha) want(status int, args []string, texts ...string) string {
	p.t.Helper()
	argv := append(append([]string{}, p.prefix...), append([]string{p.binary}, args...)...)
	cmd := p.host.Command(p.t.Context(), argv[0], argv[1:]...)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		p.t.Fatalf("%v: %v", argv, err)
	}
	if got := cmd.ProcessState.ExitCode(); got != status {
		p.t.Errorf("%v: exit status %d, want %d:\n%s", args, got, status, out)
	}
	for _, text := range texts {
		if !strings.Contains(string(out), text) {
			p.t.Errorf("%v: %q is missing in\n%s", args, text, out)
		}
	}
	return string(out)
}

func TestHostRealserver(t *testing.T) {
	lab.Need(t, lab.Host)
	p := newLVSHA(t, "202.99.59.108/24")
	dir := filepath.Join(t.TempDir(), "state")
	cmd := func(words string, more ...string) []string {
		return append(append([]string{"realserver"}, strings.Fields(words)...), append(more, "--state-dir", dir)...)
	}
	p.want(1, cmd("up --vip 202.99.59.110/24"), "it must be a host address on a real server: write 202.99.59.110")
	p.want(1, cmd("up"), "no virtual address: use --vip ADDRESS or -c FILE")
	p.want(1, cmd("status"), "nothing was set up here")
	p.want(1, cmd("status --vip 202.99.59.110"), "WRONG  202.99.59.110/32 is not on lo", "fix: ip -4 address replace 202.99.59.110/32 dev lo")
	p.want(0, cmd("up --vip 202.99.59.110"), "sysctl -w net.ipv4.conf.all.arp_ignore=1", "ip -4 route replace 202.99.59.110/32 dev lo scope link")
	p.want(0, cmd("up --vip 202.99.59.110"), "nothing to do: already set up")
	p.want(0, cmd("status"), "ok     202.99.59.110/32 is on lo")
	p.want(0, cmd("status -o json"), `"ok": true`)
	p.want(1, cmd("status -o yaml"), `--output "yaml": want table or json`)
	p.want(0, cmd("down --print"), "ip -4 address del 202.99.59.110/32 dev lo")
	p.want(0, cmd("down"), "sysctl -w net.ipv4.conf.all.arp_ignore=0")
	p.want(0, cmd("down"), "nothing to undo")
	p.want(1, cmd("up --tunnel gre --outer ipv4 --vip 10.0.0.1"), "--tunnel requires --mode tun, not dr", "--outer requires --mode tun, not dr")
	p.want(1, cmd("up --mode tun --interface eth0 --director 10.0.0.2 --vip 10.0.0.1"), "--interface requires --mode dr, not tun", "--director requires --mode nat")
	p.want(1, cmd("up --mode tun -c /etc/x.hcl"), "--mode requires --vip")
	p.want(1, cmd("up --mode tun --outer ipx --vip 10.0.0.1"), `--outer "ipx": want ipv4 or ipv6`)
	p.want(1, cmd("up --mode nat --vip 192.0.2.1 --director 202.99.59.1"), "WRONG  no default route", "fix: ip -4 route replace default via 202.99.59.1")
	p.want(1, cmd("up --vip 202.99.59.108"), "eth0 has it", "remove it: ip -4 address del 202.99.59.108/24 dev eth0")

	// A note is printed if the files for the next boot differ from the current setup.
	p.want(0, cmd("up --vip 202.99.59.110"))
	p.prefix = []string{"unshare", "-m", "sh", "-c",
		`mount -t tmpfs none /var/lib && mkdir /var/lib/lvs-ha && echo '{}' > /var/lib/lvs-ha/realserver.json && exec "$0" "$@"`}
	p.want(0, cmd("up --vip 202.99.59.112"), "note: the files for the next boot are unchanged")
	p.want(0, cmd("down"), "note: the files written by --persist still apply")

	p.prefix = []string{"setpriv", "--bounding-set", "-net_admin"}
	p.want(1, cmd("up --vip 202.99.59.110"), "CAP_NET_ADMIN is missing: run as root")
	elsewhere := filepath.Join(t.TempDir(), "another's")
	if err := errors.Join(os.Mkdir(elsewhere, 0o700), os.Chown(elsewhere, 65534, 65534)); err != nil {
		t.Fatal(err)
	}
	p.prefix = []string{"setpriv", "--bounding-set", "-dac_override"}
	p.want(1, []string{"realserver", "up", "--vip", "202.99.59.110", "--state-dir", filepath.Join(elsewhere, "state")}, "permission denied: run as root")
	p.prefix = nil
	p.want(0, cmd("down"), "nothing to undo")
}

const realserverConfig = `
vrrp "web" {
  interface         = "eth0"
  virtual_router_id = 51
  addresses         = ["202.99.59.110/24"]
}
virtual_service "http" {
  address    = "202.99.59.110:80"
  protocol   = "tcp"
  scheduler  = "wlc"
  forwarding = "dr"
  real_server "202.99.59.108:80" {}
  real_server "202.99.59.107:80" {}
}
`

func TestHostRealserverFromConfig(t *testing.T) {
	lab.Need(t, lab.Host)
	p := newLVSHA(t, "202.99.59.108/24")
	file := filepath.Join(t.TempDir(), "lvs-ha.hcl")
	if err := os.WriteFile(file, []byte(realserverConfig), 0o644); err != nil {
		t.Fatal(err)
	}
	args := func(verb string) []string {
		return []string{"realserver", verb, "-c", file, "--state-dir", t.TempDir()}
	}
	p.want(1, args("up"), "ip -4 address replace 202.99.59.110/32 dev lo", "WRONG  nothing listens on tcp 202.99.59.110:80")
	ln, err := p.host.Listen("tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	p.want(0, args("status"), "ok     something listens on tcp 202.99.59.110:80")
	p.want(0, append(args("up"), "--print"), "#!/bin/sh\n(\nset -eu\n")

	other := newLVSHA(t, "202.99.59.99/24")
	other.want(1, args("up"), "no real server in the configuration has an address of this host (202.99.59.99)")
}

// TestHostRealserverConcurrentCalls checks that concurrent calls wait for each other, and that the changes of each are
// recorded and undone.
func TestHostRealserverConcurrentCalls(t *testing.T) {
	lab.Need(t, lab.Host)
	p := newLVSHA(t, "202.99.59.108/24")
	dir := filepath.Join(t.TempDir(), "state")
	var group sync.WaitGroup
	for i := range 4 {
		group.Go(func() {
			p.want(0, []string{"realserver", "up", "--state-dir", dir, "--vip", fmt.Sprintf("202.99.59.%d", 110+i)})
		})
	}
	group.Wait()
	p.want(0, []string{"realserver", "down", "--state-dir", dir}, "del 202.99.59.110/32", "del 202.99.59.111/32", "del 202.99.59.112/32", "del 202.99.59.113/32",
		"sysctl -w net.ipv4.conf.all.arp_ignore=0")
	p.want(1, []string{"realserver", "down", "--state-dir", ""}, "no directory for the record of changes: set --state-dir")
}

func TestHostRealserverDamagedRecord(t *testing.T) {
	lab.Need(t, lab.Host)
	p := newLVSHA(t, "202.99.59.108/24")
	dir := filepath.Join(t.TempDir(), "state")
	p.want(0, []string{"realserver", "up", "--state-dir", dir, "--vip", "202.99.59.110"})
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) != 1 {
		t.Fatalf("records %v, %v", files, err)
	}
	if err := os.WriteFile(files[0], []byte(`{"ker`), 0o644); err != nil {
		t.Fatal(err)
	}
	out := p.want(1, []string{"realserver", "down", "--state-dir", dir}, "is damaged: remove it, and undo by hand what `lvs-ha realserver up --print` shows")
	if strings.Contains(out, "nothing to undo") {
		t.Errorf("an error, and nothing to do:\n%s", out)
	}
	p.want(0, []string{"realserver", "status", "--state-dir", dir, "--vip", "202.99.59.110"}, "ok     202.99.59.110/32 is on lo")
	if err := os.Remove(files[0]); err != nil {
		t.Fatal(err)
	}
	p.want(0, []string{"realserver", "up", "--state-dir", dir, "--vip", "202.99.59.110"}, "nothing to do")
	p.want(0, []string{"realserver", "down", "--state-dir", dir}, "202.99.59.110 stays on lo, where it was before; to remove it: ip -4 address del 202.99.59.110/32 dev lo")
}
