package speaker

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/lab"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// frrRoot is where scripts/setup unpacks FRR.
const frrRoot = "/var/lib/lvs-ha-test/frr"

// frr is FRR's zebra and vrrpd in a host of the lab.
type frr struct {
	t       testing.TB
	host    *lab.Node
	dir     string
	zebra   *lab.Cmd
	vrrpd   *lab.Cmd
	log     output
	entered *regexp.Regexp
}

// newFRR creates the interfaces with virtual MAC addresses, which FRR expects to find, and starts zebra.
func newFRR(t testing.TB, host *lab.Node, instances ...vrrp.Instance) *frr {
	t.Helper()
	f := &frr{t: t, host: host, dir: t.TempDir(), entered: regexp.MustCompile(`\[VRID (\d+)\] \[(IPv[46])\] \w+ -> (\w+)`)}
	var conf strings.Builder
	conf.WriteString("log stdout debugging\ndebug vrrp\ninterface eth0\n")
	for _, in := range instances {
		family := map[vrrp.Family]string{vrrp.IPv4: "ip", vrrp.IPv6: "ipv6"}[in.Family]
		mac := vrrp.MACAddress(in.Family, in.VirtualRouterID)
		iface := fmt.Sprintf("%s-%d", family, in.VirtualRouterID)
		ip(t, host, "link", "add", iface, "link", "eth0", "type", "macvlan", "mode", "bridge")
		ip(t, host, "link", "set", "dev", iface, "address", net.HardwareAddr(mac[:]).String())
		for _, a := range in.Addresses {
			ip(t, host, "address", "add", a.Prefix.String(), "dev", iface, "nodad")
			fmt.Fprintf(&conf, " vrrp %[1]d version %[2]d\n vrrp %[1]d %[3]s %[4]s\n", in.VirtualRouterID, in.Version, family, a.Prefix.Addr())
		}
		ip(t, host, "link", "set", "dev", iface, "up")
		fmt.Fprintf(&conf, " vrrp %[1]d priority %[2]d\n vrrp %[1]d advertisement-interval %[3]d\n", in.VirtualRouterID, in.Priority, in.AdvertiseInterval.Milliseconds())
	}
	group, err := os.ReadFile("/etc/group")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"zebra.conf": "log stdout\n", "vrrpd.conf": conf.String(), "group": "frrvty:x:65533:root\n" + string(group)} {
		if err := os.WriteFile(filepath.Join(f.dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	f.zebra = f.run("zebra")
	eventually(t, "zebra listens", func() bool { _, err := os.Stat(f.dir + "/zserv.api"); return err == nil })
	t.Cleanup(func() {
		f.kill()
		_ = f.zebra.Process.Kill()
		_ = f.zebra.Wait()
		if t.Failed() {
			t.Logf("log of FRR:\n%s", f.log.String())
		}
	})
	return f
}

// run starts one of FRR's daemons. They require the group frrvty, which only they see.
func (f *frr) run(daemon string) *lab.Cmd {
	f.t.Helper()
	libraries, err := filepath.Glob(frrRoot + "/usr/lib/*/frr")
	if err != nil || len(libraries) == 0 {
		f.t.Fatalf("FRR is missing: run scripts/setup")
	}
	cmd := f.host.Command(context.Background(), "unshare", "--mount", "sh", "-c", `mount --bind "$0/group" /etc/group && exec "$@"`, f.dir,
		frrRoot+"/usr/lib/frr/"+daemon, "-u", "root", "-g", "root", "-f", f.dir+"/"+daemon+".conf", "-i", f.dir+"/"+daemon+".pid",
		"-z", f.dir+"/zserv.api", "--vty_socket", f.dir, "-P", "0")
	cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+libraries[0])
	cmd.Stdout, cmd.Stderr = &f.log, &f.log
	if err := cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	return cmd
}

func (f *frr) start() {
	f.t.Helper()
	f.vrrpd = f.run("vrrpd")
}

// stop ends vrrpd gracefully: it sends priority 0.
func (f *frr) stop() { f.end(syscall.SIGTERM) }

func (f *frr) kill() { f.end(syscall.SIGKILL) }

func (f *frr) end(sig syscall.Signal) {
	if f.vrrpd != nil {
		_ = f.vrrpd.Process.Signal(sig)
		_ = f.vrrpd.Wait()
		f.vrrpd = nil
	}
}

// awaitState waits until the last logged state of an instance is the given one.
func (f *frr) awaitState(in vrrp.Instance, state vrrp.State) {
	f.t.Helper()
	id, family := fmt.Sprint(in.VirtualRouterID), map[vrrp.Family]string{vrrp.IPv4: "IPv4", vrrp.IPv6: "IPv6"}[in.Family]
	eventually(f.t, fmt.Sprintf("FRR's %s is %s", in.Name, state), func() bool {
		last := ""
		for _, m := range f.entered.FindAllStringSubmatch(f.log.String(), -1) {
			if m[1] == id && m[2] == family {
				last = m[3]
			}
		}
		return strings.EqualFold(last, string(state))
	})
}

// frrInstances returns routers of all versions and families.
func frrInstances(priority uint8, vmac bool) []vrrp.Instance {
	v2, four, six := instance(2, vrrp.IPv4, priority, time.Second), instance(3, vrrp.IPv4, priority, 200*time.Millisecond), instance(3, vrrp.IPv6, priority, 200*time.Millisecond)
	v2.Name, v2.VirtualRouterID, four.Name, six.Name = "two", 52, "four", "six"
	v2.Addresses = []vrrp.Address{{Prefix: netip.MustParsePrefix("10.9.0.101/24")}}
	six.Addresses = append([]vrrp.Address{{Prefix: netip.MustParsePrefix("fe80::100/64")}}, six.Addresses...)
	all := []vrrp.Instance{v2, four, six}
	for i := range all {
		if vmac {
			all[i].VMAC = &vrrp.VMAC{Interface: "v." + all[i].Name}
		}
	}
	return all
}

// TestHostFRR runs FRR's vrrpd beside us, which needs virtual MAC addresses, as our backup and as our master: it and we are stopped,
// start again and are killed.
func TestHostFRR(t *testing.T) {
	for _, vmac := range []bool{false, true} {
		for _, role := range []string{"backup", "master"} {
			t.Run(fmt.Sprintf("%s, vmac %t", role, vmac), func(t *testing.T) {
				n := newLAN(t)
				t.Parallel()
				ours, theirs := frrInstances(200, vmac), frrInstances(100, true)
				if role == "master" {
					ours, theirs = frrInstances(100, vmac), frrInstances(200, true)
				}
				m := &frrMatch{us: newStation(t, n.a), them: newFRR(t, n.b, theirs...), instances: ours}
				m.us.want(ours...)
				if role == "master" {
					m.themMaster(t)
				} else {
					m.themBackup(t)
				}
				m.check(t)
			})
		}
	}
}

type frrMatch struct {
	us        *station
	them      *frr
	instances []vrrp.Instance
}

// await waits for the states of all instances, ours and FRR's.
func (m *frrMatch) await(ours, theirs vrrp.State, reason vrrp.Reason) {
	m.us.t.Helper()
	for _, in := range m.instances {
		if ours != "" {
			if st := m.us.awaitState(in.Name, ours); reason != "" && st.Reason != string(reason) {
				m.us.t.Errorf("%s: %s for reason %q, want %q", in.Name, ours, st.Reason, reason)
			}
		}
		if theirs != "" {
			m.them.awaitState(in, theirs)
		}
	}
}

func (m *frrMatch) themBackup(t *testing.T) {
	m.await(vrrp.Master, "", "")
	m.them.start()
	m.await("", vrrp.Backup, "")
	m.us.stop()
	m.await("", vrrp.Master, "")
	m.us.start("fresh")
	m.await(vrrp.Master, vrrp.Backup, "")
	m.us.kill()
	m.await("", vrrp.Master, "")
	m.us.start("fresh")
	m.await(vrrp.Master, vrrp.Backup, "")
	m.them.stop()
}

func (m *frrMatch) themMaster(t *testing.T) {
	m.await(vrrp.Master, "", "")
	m.them.start()
	m.await(vrrp.Backup, vrrp.Master, vrrp.ReasonHigherPriority)
	for _, in := range m.instances {
		m.us.await(in.Name, "aware of FRR", func(s vrrp.Status) bool {
			return s.MasterPriority == 200 && s.AdvertiseInterval == in.AdvertiseInterval
		})
	}
	m.them.stop()
	m.await(vrrp.Master, "", vrrp.ReasonPriorityZero)
	m.them.start()
	m.await(vrrp.Backup, vrrp.Master, vrrp.ReasonHigherPriority)
	m.them.kill()
	m.await(vrrp.Master, "", vrrp.ReasonMasterDownTimer)
}

// check fails the test if one of the programs rejected the other's packets. FRR checks the version first, also of adverts for
// another virtual router.
func (m *frrMatch) check(t *testing.T) {
	for _, in := range m.instances {
		st := m.us.report(in.Name, "known", func(vrrp.Status) bool { return true })
		if len(st.Dropped)+len(st.InterfaceDropped) > 0 || st.AddressMismatches > 0 {
			t.Errorf("%s: dropped %v %v, with other addresses %d", in.Name, st.Dropped, st.InterfaceDropped, st.AddressMismatches)
		}
	}
	for line := range strings.Lines(m.them.log.String()) {
		if strings.Contains(line, "Datagram invalid") && !strings.Contains(line, "Bad version") {
			t.Errorf("FRR complains: %s", strings.TrimSpace(line))
		}
	}
}
