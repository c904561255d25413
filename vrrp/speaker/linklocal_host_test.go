package speaker

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/lab"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// newTwoLANs returns two networks, with eth0 and eth1 of all hosts.
func newTwoLANs(t *testing.T) *lan {
	t.Helper()
	n := newLAN(t)
	second, err := n.lab.Bridge("br1")
	if err != nil {
		t.Fatal(err)
	}
	for i, h := range []*lab.Node{n.a, n.b, n.observer} {
		if err := h.Attach(lab.NIC{Name: "eth1", Bridge: second, Addresses: lab.Prefixes(fmt.Sprintf("fd0a::%d/64", i+1))}); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// TestHostLinkLocalOnTwoInterfaces: fe80::1 is the gateway of two networks. Each moves by itself, and the packet filter of one does not
// drop packets to the other.
func TestHostLinkLocalOnTwoInterfaces(t *testing.T) {
	n := newTwoLANs(t)
	const address = "fe80::1/64"
	answers := func(iface string, want bool) {
		t.Helper()
		eventually(t, fmt.Sprintf("fe80::1 answers on %s: %t", iface, want), func() bool {
			return (n.observer.Command(t.Context(), "ping", "-n", "-c1", "-W1", "fe80::1%"+iface).Run() == nil) == want
		})
	}
	a, b := newStation(t, n.a), newStation(t, n.b)
	a.want(gatewayOf("zero", "eth0", 7, 200), gatewayOf("one", "eth1", 7, 200))
	a.awaitState("zero", vrrp.Master)
	a.awaitState("one", vrrp.Master)
	b.want(gatewayOf("zero", "eth0", 7, 100), gatewayOf("one", "eth1", 7, 100))
	b.await("zero", "backup of a", func(s vrrp.Status) bool { return s.State == vrrp.Backup && s.MasterPriority == 200 })
	b.await("one", "backup of a", func(s vrrp.Status) bool { return s.State == vrrp.Backup && s.MasterPriority == 200 })
	answers("eth0", true)
	answers("eth1", true)

	// One becomes backup: the other's address stays.
	a.want(gatewayOf("zero", "eth0", 7, 50), gatewayOf("one", "eth1", 7, 200))
	b.awaitState("zero", vrrp.Master)
	a.awaitState("zero", vrrp.Backup)
	eventually(t, "a has given up fe80::1 on eth0 only", func() bool { return !has(t, n.a, "eth0", address) && has(t, n.a, "eth1", address) })
	eventually(t, "b has fe80::1 on eth0 only", func() bool { return has(t, n.b, "eth0", address) && !has(t, n.b, "eth1", address) })
	answers("eth0", true)
	answers("eth1", true)
	time.Sleep(2 * time.Second) // longer than the grace time of conflicts
	for _, s := range []*station{a, b} {
		for _, name := range []string{"zero", "one"} {
			if st := s.status(name); len(st.Conflicts) > 0 || len(st.AddressesRefused) > 0 {
				t.Errorf("%s: conflicts %+v, refused %v", name, st.Conflicts, st.AddressesRefused)
			}
		}
	}
	if !has(t, n.a, "eth1", address) || a.status("one").AddressesRestored > 0 {
		t.Error("the address of the other instance was removed")
	}

	// Packets to the address on a macvlan of eth0 are dropped, those to eth1 are not.
	b.stop()
	silent := gatewayOf("zero", "eth0", 7, 200)
	silent.VMAC = &vrrp.VMAC{Interface: "vrrp6.7", NoAccept: true}
	a.want(silent, gatewayOf("one", "eth1", 7, 200))
	eventually(t, "the address is on the macvlan", func() bool { return has(t, n.a, "vrrp6.7", address) })
	a.awaitState("zero", vrrp.Master)
	answers("eth0", false)
	answers("eth1", true)
	silent.VMAC = &vrrp.VMAC{Interface: "vrrp6.7"}
	a.want(silent, gatewayOf("one", "eth1", 7, 200))
	answers("eth0", true)
	if log := a.log.String(); strings.Contains(log, "present but not usable") {
		t.Errorf("an address was not served:\n%s", log)
	}
}
