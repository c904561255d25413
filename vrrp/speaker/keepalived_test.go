package speaker

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/lab"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// keepalived is a process of Debian's keepalived in a host of the lab.
type keepalived struct {
	t    testing.TB
	host *lab.Node
	dir  string
	cmd  *lab.Cmd
	log  output
}

func needKeepalived(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath("keepalived")
	if err != nil {
		t.Fatalf("keepalived is not installed: run scripts/setup: %v", err)
	}
	return path
}

// startKeepalived translates instances to keepalived's configuration and runs it.
func startKeepalived(t testing.TB, host *lab.Node, console bool, instances ...vrrp.Instance) *keepalived {
	t.Helper()
	return startKeepalivedWith(t, host, console, keepalivedConfig(instances))
}

// startKeepalivedWith runs a configuration.
func startKeepalivedWith(t testing.TB, host *lab.Node, console bool, config string) *keepalived {
	t.Helper()
	path := needKeepalived(t)
	k := &keepalived{t: t, host: host, dir: t.TempDir()}
	file := filepath.Join(k.dir, "keepalived.conf")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{path, "-n", "-G", "-P", "-f", file, "-p", k.dir + "/p", "-r", k.dir + "/r", "-c", k.dir + "/c"}
	if console {
		// Like the speaker, it must send adverts in time even if other tests run at the same time.
		args = append([]string{"chrt", "--fifo", strconv.Itoa(processPriority)}, append(args, "-l", "-D")...)
	}
	k.cmd = host.Command(context.Background(), args[0], args[1:]...)
	k.cmd.Stdout, k.cmd.Stderr = &k.log, &k.log
	k.cmd.SysProcAttr.Setpgid, k.cmd.SysProcAttr.Setsid = false, true // a scheduling group of its own, as a service has
	if err := k.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		k.kill()
		if t.Failed() {
			t.Logf("log of keepalived on %s:\n%s", host.Name(), k.log.String())
		}
	})
	return k
}

func keepalivedConfig(instances []vrrp.Instance) string {
	var b strings.Builder
	b.WriteString("global_defs {\n vrrp_garp_master_refresh 0\n}\n")
	for _, in := range instances {
		fmt.Fprintf(&b, "vrrp_instance %s {\n state BACKUP\n interface %s\n version %d\n virtual_router_id %d\n priority %d\n advert_int %g\n",
			in.Name, in.Interface, in.Version, in.VirtualRouterID, in.Priority, in.AdvertiseInterval.Seconds())
		if in.AuthPass != "" {
			fmt.Fprintf(&b, " authentication {\n auth_type PASS\n auth_pass %s\n }\n", in.AuthPass.Reveal())
		}
		if len(in.UnicastPeers) > 0 {
			b.WriteString(" unicast_peer {\n")
			for _, p := range in.UnicastPeers {
				fmt.Fprintf(&b, " %s\n", p)
			}
			b.WriteString(" }\n")
		}
		if in.VMAC != nil {
			fmt.Fprintf(&b, " use_vmac %s\n", in.VMAC.Interface)
			if in.VMAC.XmitBase {
				b.WriteString(" vmac_xmit_base\n")
			}
		}
		if !in.Preempt {
			b.WriteString(" nopreempt\n")
		}
		if in.SourceAddress.IsValid() {
			fmt.Fprintf(&b, " unicast_src_ip %s\n", in.SourceAddress)
		}
		if in.UnicastMinTTL == vrrp.HopLimit {
			fmt.Fprintf(&b, " unicast_ttl %d\n", vrrp.HopLimit)
		}
		if in.Family == vrrp.IPv6 {
			b.WriteString(" native_ipv6\n")
		}
		for _, list := range []struct {
			name     string
			excluded bool
		}{{"virtual_ipaddress", false}, {"virtual_ipaddress_excluded", true}} {
			fmt.Fprintf(&b, " %s {\n", list.name)
			for _, a := range in.Addresses {
				if a.Excluded == list.excluded {
					fmt.Fprintf(&b, " %s\n", a.Prefix)
				}
			}
			b.WriteString(" }\n")
		}
		b.WriteString("}\n")
	}
	return b.String()
}

// stop ends it gracefully: it sends priority 0.
func (k *keepalived) stop() {
	k.t.Helper()
	if err := k.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		k.t.Fatal(err)
	}
	if err := k.cmd.Wait(); err != nil {
		k.t.Logf("keepalived: %v", err)
	}
}

// kill ends it and its children immediately, without sending a packet.
func (k *keepalived) kill() {
	if k.cmd.ProcessState != nil {
		return
	}
	pids := k.pids()
	_ = syscall.Kill(pids[0], syscall.SIGSTOP)
	// The parent last: a child whose parent dies sends priority 0.
	for _, pid := range slices.Backward(pids) {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	_ = k.cmd.Wait()
}

func (k *keepalived) pids() []int {
	pid := k.cmd.Process.Pid
	pids := []int{pid}
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	for _, f := range strings.Fields(string(b)) {
		if child, err := strconv.Atoi(f); err == nil {
			pids = append(pids, child)
		}
	}
	return pids
}

// awaitLog waits until the log has matched the expression n times.
func (k *keepalived) awaitLog(expr string, n int) {
	k.t.Helper()
	re := regexp.MustCompile(expr)
	eventually(k.t, fmt.Sprintf("keepalived logs %q %d times", expr, n), func() bool {
		return len(re.FindAllString(k.log.String(), -1)) >= n
	})
}

// awaitState waits until an instance's last logged state is the given one.
func (k *keepalived) awaitState(instance string, state vrrp.State) {
	k.t.Helper()
	re := regexp.MustCompile(`\(` + regexp.QuoteMeta(instance) + `\) Entering (\w+) STATE`)
	eventually(k.t, fmt.Sprintf("keepalived's %s is %s", instance, state), func() bool {
		all := re.FindAllStringSubmatch(k.log.String(), -1)
		return len(all) > 0 && all[len(all)-1][1] == string(state)
	})
}

var complaint = regexp.MustCompile(`(?i)invalid|bogus|mismatch|wrong|incorrect|malformed|checksum|not received|ignoring received`)

// checkLog fails the test if keepalived logged a complaint about received packets.
func (k *keepalived) checkLog() {
	k.t.Helper()
	for line := range bytes.Lines([]byte(k.log.String())) {
		if complaint.Match(line) {
			k.t.Errorf("keepalived complains: %s", bytes.TrimSpace(line))
		}
	}
}

type interop struct {
	name     string
	version  uint8
	family   vrrp.Family
	interval time.Duration
	pass     string
}

var interops = []interop{
	{"v2", 2, vrrp.IPv4, time.Second, ""},
	{"v2 password", 2, vrrp.IPv4, time.Second, "s3cret"},
	{"v3 ipv4", 3, vrrp.IPv4, 100 * time.Millisecond, ""},
	{"v3 ipv6", 3, vrrp.IPv6, 100 * time.Millisecond, ""},
	{"v3 ipv4 30ms", 3, vrrp.IPv4, 30 * time.Millisecond, ""},
}
