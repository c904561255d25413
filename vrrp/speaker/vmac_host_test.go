package speaker

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/lvs-ha/lvs-ha/internal/lab"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// withVMAC returns the instances of both families that the tests use, with virtual MAC addresses.
func withVMAC(priority uint8, interval time.Duration) (v4, v6 vrrp.Instance) {
	v4, v6 = instance(3, vrrp.IPv4, priority, interval), instance(3, vrrp.IPv6, priority, interval)
	v4.VMAC, v6.VMAC = &vrrp.VMAC{Interface: "vrrp.51"}, &vrrp.VMAC{Interface: "vrrp6.51"}
	v6.Name = "v6"
	return v4, v6
}

const (
	vmac4 = "00:00:5e:00:01:33"
	vmac6 = "00:00:5e:00:02:33"
)

// neighborMonitor prints the changes of a host's neighbour entries.
func neighborMonitor(t *testing.T, h *lab.Node) func() string {
	t.Helper()
	var out output
	cmd := h.Command(context.Background(), "ip", "monitor", "neigh")
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Kill(); _ = cmd.Wait() })
	return out.String
}

func linkOf(t *testing.T, h *lab.Node, name string) netlink.Link {
	t.Helper()
	l, err := h.Netlink().LinkByName(name)
	if err != nil {
		return nil
	}
	return l
}

// TestHostVMAC hands virtual MAC addresses over by SIGTERM, by preemption and after a crash, while a client sends a request
// every millisecond. Its neighbour entries never change, and no node but the master sends from the virtual MAC address.
func TestHostVMAC(t *testing.T) {
	for _, f := range []vrrp.Family{vrrp.IPv4, vrrp.IPv6} {
		t.Run(f.String(), func(t *testing.T) {
			attempts(t, func(n *lan) error { return handOverVMAC(t, n, f) })
		})
	}
}

func handOverVMAC(t *testing.T, n *lan, f vrrp.Family) error {
	const interval = 100 * time.Millisecond
	v4, v6 := withVMAC(200, interval)
	w4, w6 := withVMAC(100, interval)
	a, b := newStation(t, n.a), newStation(t, n.b)
	a.want(v4, v6)
	a.awaitState("v", vrrp.Master)
	a.awaitState("v6", vrrp.Master)
	b.want(w4, w6)
	for _, name := range []string{"v", "v6"} {
		b.await(name, "backup of a", func(s vrrp.Status) bool { return s.State == vrrp.Backup && s.MasterPriority == 200 })
	}
	in, mac := v4, vmac4
	if f == vrrp.IPv6 {
		in, mac = v6, vmac6
	}
	address := in.Addresses[0].Prefix.Addr()
	changes := neighborMonitor(t, n.observer)
	p := startProber(t, n.observer, n.capture, address)
	p.awaitMore(t, 100)
	first := linkOf(t, n.a, in.VMAC.Interface).Attrs().Index

	// A killed speaker leaves the macvlan to its successor.
	a.kill()
	a.start("adopt")
	if again := a.awaitAgain(in.Name); again.Reason != string(vrrp.ReasonAdopted) {
		return errors.New("the peer took over before the speaker had started again")
	}
	if l := linkOf(t, n.a, in.VMAC.Interface); l == nil || l.Attrs().Index != first {
		t.Errorf("the macvlan was created again: %v, was %d", l, first)
	}
	p.awaitMore(t, 300)

	stopped := n.capture.mark()
	a.stop()
	if l := linkOf(t, n.a, in.VMAC.Interface); l != nil {
		t.Errorf("%s still exists after the stop", in.VMAC.Interface)
	}
	if got := arpSettingsOf(t, n.a); got != "0 0" {
		t.Errorf("arp_ignore and arp_announce of eth0 are %s after the stop", got)
	}
	if st := b.awaitState(in.Name, vrrp.Master); st.Reason != string(vrrp.ReasonPriorityZero) {
		return fmt.Errorf("b became master for reason %q", st.Reason)
	}
	p.awaitMore(t, 300)
	mark := n.capture.mark()
	a.start("fresh")
	a.awaitState(in.Name, vrrp.Master)
	b.awaitState(in.Name, vrrp.Backup)
	p.awaitMore(t, 300)

	isAdvert := func(s seen, priority uint8) bool {
		return s.advert != nil && s.from.Is4() == address.Is4() && s.advert.Priority == priority
	}
	firstFrom := func(what string, since int) {
		t.Helper()
		first := n.capture.await(t, since, "an advert of b", func(s seen) bool { return isAdvert(s, 100) })
		if first.mac != mac || first.ttl != vrrp.HopLimit {
			t.Errorf("the first advert after %s is from %s: %+v", what, first.mac, first)
		}
	}
	firstFrom("a stop", stopped)
	adverts := 0
	for _, s := range n.capture.all()[mark:] {
		if (s.announc == address || isAdvert(s, 200)) && s.mac != mac {
			t.Errorf("sent from %s: %+v", s.mac, s)
		}
		if isAdvert(s, 200) {
			adverts++
		}
	}
	if adverts < 2 {
		t.Errorf("%d adverts from the virtual MAC address", adverts)
	}
	if lost, of, _ := n.capture.probes(); len(lost) > 0 {
		return fmt.Errorf("%d of %d requests were not answered, from %s to %s", len(lost), of, lost[0].sent, lost[len(lost)-1].sent)
	}
	for line := range strings.Lines(changes()) {
		if strings.HasPrefix(line, address.String()+" ") && strings.Contains(line, "lladdr") && !strings.Contains(line, mac) {
			t.Errorf("the client's neighbour entry changed: %s", line)
		}
	}
	crashed := n.capture.mark()
	a.kill()
	firstFrom("a crash", crashed)
	return nil
}

func arpSettingsOf(t *testing.T, h *lab.Node) string {
	t.Helper()
	out, err := h.Command(t.Context(), "sysctl", "-n", "net.ipv4.conf.eth0.arp_ignore", "net.ipv4.conf.eth0.arp_announce").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(strings.Fields(string(out)), " ")
}

// TestHostVMACTroubles causes what can happen to the interface of a virtual MAC address, one after the other.
func TestHostVMACTroubles(t *testing.T) {
	n := newLAN(t)
	const interval = 100 * time.Millisecond
	v4, v6 := withVMAC(200, interval)
	w4, w6 := withVMAC(100, interval)
	masters := func(s *station) {
		t.Helper()
		s.awaitState("v", vrrp.Master)
		s.awaitState("v6", vrrp.Master)
	}
	fault := func(s *station, reason vrrp.Reason, problem string) {
		t.Helper()
		s.await("v", string(reason), func(st vrrp.Status) bool {
			return st.State == vrrp.Initialize && st.Reason == string(reason) && strings.Contains(st.VMAC.Problem, problem)
		})
	}
	// An interface that does not belong to lvs-ha is not touched.
	ip(t, n.a, "link", "add", "vrrp.51", "type", "bridge")
	a := newStation(t, n.a)
	a.want(v4, v6)
	fault(a, vrrp.ReasonVMAC, "does not belong to lvs-ha")
	if l := linkOf(t, n.a, "vrrp.51"); l == nil || l.Type() != "bridge" {
		t.Fatalf("the other program's interface is now %v", l)
	}
	ip(t, n.a, "link", "delete", "vrrp.51")
	masters(a)
	b := newStation(t, n.b)
	b.want(w4, w6)
	b.awaitState("v", vrrp.Backup)

	// The macvlan deleted or set down by another program.
	became := a.status("v").Transitions
	for _, how := range [][]string{{"link", "delete", "vrrp.51"}, {"link", "set", "vrrp.51", "down"}, {"link", "set", "vrrp.51", "address", "02:00:00:00:00:07"}} {
		ip(t, n.a, how...)
		eventually(t, "the address is served again after ip "+strings.Join(how, " "), func() bool {
			l := linkOf(t, n.a, "vrrp.51")
			return l != nil && l.Attrs().OperState == netlink.OperUp && l.Attrs().HardwareAddr.String() == vmac4 && has(t, n.a, "vrrp.51", "10.9.0.100/24")
		})
	}
	if st := a.report("v", "known", func(vrrp.Status) bool { return true }); st.State != vrrp.Master || st.Transitions != became {
		t.Errorf("state %s, %d times master, was %d", st.State, st.Transitions, became)
	}

	// The interface below renamed, and replaced.
	ip(t, n.a, "link", "set", "dev", "eth0", "name", "wan")
	fault(a, vrrp.ReasonInterfaceMissing, "")
	b.awaitState("v", vrrp.Master)
	ip(t, n.a, "link", "add", "eth0", "type", "bridge")
	fault(a, vrrp.ReasonInterfaceDown, "")
	ip(t, n.a, "link", "delete", "eth0")
	ip(t, n.a, "link", "set", "dev", "wan", "name", "eth0")
	masters(a)
	b.awaitState("v", vrrp.Backup)

	// A port of a bridge can have no macvlan.
	ip(t, n.a, "link", "add", "br1", "type", "bridge")
	a.want(v6)
	eventually(t, "vrrp.51 is gone", func() bool { return linkOf(t, n.a, "vrrp.51") == nil })
	plain := instance(3, vrrp.IPv4, 200, interval)
	a.want(plain)
	a.awaitState("v", vrrp.Master)
	eventually(t, "vrrp6.51 is gone", func() bool { return linkOf(t, n.a, "vrrp6.51") == nil })
	ip(t, n.a, "link", "set", "dev", "eth0", "master", "br1")
	a.want(v4)
	fault(a, vrrp.ReasonVMAC, "use that as the interface")
	ip(t, n.a, "link", "set", "dev", "eth0", "nomaster")
	a.awaitState("v", vrrp.Master)
	eventually(t, "the address is on the macvlan", func() bool { return has(t, n.a, "vrrp.51", "10.9.0.100/24") })
	a.kill()
	removeLeftMacvlan(t, n.a, v4)
}

// removeLeftMacvlan removes the address of a killed speaker without a successor.
func removeLeftMacvlan(t *testing.T, host *lab.Node, in vrrp.Instance) {
	t.Helper()
	if err := host.Do(func() error {
		found, err := (Leftovers{}).Present([]vrrp.Instance{in})
		if err != nil || len(found) != 1 || found[0].Interface != "vrrp.51" {
			return fmt.Errorf("found %v, %v", found, err)
		}
		return (Leftovers{}).Remove(found)
	}); err != nil {
		t.Error(err)
	}
	if l := linkOf(t, host, "vrrp.51"); l != nil || arpSettingsOf(t, host) != "0 0" {
		t.Errorf("left: %v, arp_ignore and arp_announce %s", l, arpSettingsOf(t, host))
	}
}

// TestHostVMACAccept checks accept mode, and that two masters with the same virtual MAC address find each other.
func TestHostVMACAccept(t *testing.T) {
	n := newLAN(t)
	const interval = 100 * time.Millisecond
	v4, v6 := withVMAC(200, interval)
	a := newStation(t, n.a)
	want := func(accept bool) {
		v4.VMAC, v6.VMAC = &vrrp.VMAC{Interface: "vrrp.51", NoAccept: !accept}, &vrrp.VMAC{Interface: "vrrp6.51", NoAccept: !accept}
		a.want(v4, v6)
	}
	answers := func(want bool) {
		t.Helper()
		for _, in := range []vrrp.Instance{v4, v6} {
			to := in.Addresses[0].Prefix.Addr().String()
			eventually(t, fmt.Sprintf("%s answers: %t", to, want), func() bool {
				err := n.observer.Command(t.Context(), "ping", "-n", "-c1", "-W1", to).Run()
				return (err == nil) == want
			})
		}
	}
	want(true)
	a.awaitState("v", vrrp.Master)
	a.awaitState("v6", vrrp.Master)
	answers(true)
	want(false)
	answers(false)
	// The neighbour entries are new: they were resolved although the host does not accept packets.
	ip(t, n.observer, "neigh", "flush", "dev", "eth0")
	answers(false)
	out, err := n.observer.Command(t.Context(), "ip", "neigh", "show", "dev", "eth0").Output()
	if err != nil || !strings.Contains(string(out), "10.9.0.100 lladdr "+vmac4) || !strings.Contains(string(out), "fd09::100 lladdr "+vmac6) {
		t.Errorf("neighbour entries %s, %v", out, err)
	}
	if err := n.observer.Command(t.Context(), "ping", "-n", "-c1", "-W2", "10.9.0.1").Run(); err != nil {
		t.Errorf("the host's own address does not answer: %v", err)
	}
	if st := a.status("v"); st.VMAC.Problem != "" {
		t.Errorf("problem %q", st.VMAC.Problem)
	}
	want(true)
	answers(true)

	// Two masters with the same MAC address. With many addresses, probes are frequent.
	w4, w6 := withVMAC(100, interval)
	for i := range 40 {
		more := vrrp.Address{Prefix: netip.MustParsePrefix(fmt.Sprintf("10.9.0.%d/32", 101+i))}
		v4.Addresses, w4.Addresses = append(v4.Addresses, more), append(w4.Addresses, more)
	}
	want(false)
	answers(false)
	for _, host := range []*lab.Node{n.a, n.b} {
		if out, err := host.Command(t.Context(), "nft", "add table inet f; add chain inet f in { type filter hook input priority 0; }; "+
			"add rule inet f in meta l4proto 112 drop").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	b := newStation(t, n.b)
	b.want(w4, w6)
	sees := func(of *station, name string, kind vrrp.ConflictKind, mac string) {
		t.Helper()
		of.report(name, string(kind), func(s vrrp.Status) bool {
			return slices.ContainsFunc(s.Conflicts, func(c vrrp.Conflict) bool { return c.Kind == kind && c.Hardware == mac })
		})
	}
	for _, of := range []*station{a, b} {
		sees(of, "v", vrrp.ConflictHidden, vmac4)
		sees(of, "v6", vrrp.ConflictHidden, vmac6)
		sees(of, "v", vrrp.ConflictAddress, vmac4)
	}
	a.stop()
	if out, err := n.a.Command(t.Context(), "nft", "list", "tables").Output(); err != nil || strings.Contains(string(out), "lvs-ha") {
		t.Errorf("tables after the stop: %s, %v", out, err)
	}
}
