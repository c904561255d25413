package speaker

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/lab"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// sideways returns an instance on eth0 whose address is on eth1.
func sideways(priority uint8) vrrp.Instance {
	in := instance(3, vrrp.IPv6, priority, 100*time.Millisecond)
	in.Addresses[0].Interface = "eth1"
	return in
}

func newSidewaysLAN(t *testing.T) *lan {
	n := newLAN(t)
	for _, h := range []*lab.Node{n.a, n.b} {
		if err := h.Attach(lab.NIC{Name: "eth1", Bridge: n.bridge}); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

func sysctl(t *testing.T, h *lab.Node, key, value string) {
	t.Helper()
	out, err := h.Command(context.Background(), "sysctl", "-q", key+"="+value).CombinedOutput()
	if err != nil {
		t.Fatalf("sysctl %s=%s: %v: %s", key, value, err, out)
	}
}

func refused(s vrrp.Status) bool {
	return s.State == vrrp.Initialize && s.Reason == string(vrrp.ReasonAddressRefused)
}

// retried waits until the speaker has found an address refused a second time: by then a retry loop would be visible.
func retried(t *testing.T, s *station) {
	t.Helper()
	began := time.Now()
	s.report("v", "still refused after the second try", func(st vrrp.Status) bool {
		return !refused(st) || time.Since(began) > firstRetry+2*firstRetry
	})
}

// TestHostAddressRefused checks that a master whose address the kernel deletes and refuses hands over to its peer, reports
// the reason, and recovers automatically. The peer sees one change each way.
func TestHostAddressRefused(t *testing.T) {
	for _, c := range []struct {
		name      string
		cut, mend func(h *lab.Node)
		why       string
	}{
		{
			"IPv6 is switched off",
			func(h *lab.Node) { sysctl(t, h, "net.ipv6.conf.eth1.disable_ipv6", "1") },
			func(h *lab.Node) { sysctl(t, h, "net.ipv6.conf.eth1.disable_ipv6", "0") },
			"permission denied: IPv6 is disabled on the interface: sysctl net.ipv6.conf.eth1.disable_ipv6=0",
		},
		{
			"the MTU is too small for IPv6",
			func(h *lab.Node) { ip(t, h, "link", "set", "dev", "eth1", "mtu", "1000") },
			func(h *lab.Node) { ip(t, h, "link", "set", "dev", "eth1", "mtu", "1500") },
			"invalid argument: IPv6 requires an MTU of 1280 or more: ip link set dev eth1 mtu 1500",
		},
		{
			"the interface is gone",
			func(h *lab.Node) { ip(t, h, "link", "set", "dev", "eth1", "name", "gone") },
			func(h *lab.Node) { ip(t, h, "link", "set", "dev", "gone", "name", "eth1") },
			noInterface,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := newSidewaysLAN(t)
			a, b := newStation(t, n.a), newStation(t, n.b)
			a.want(sideways(200))
			a.awaitState("v", vrrp.Master)
			eventually(t, "a has the address", func() bool { return has(t, n.a, "eth1", "fd09::100/64") })
			b.want(sideways(100))
			b.await("v", "backup of a", func(s vrrp.Status) bool { return s.State == vrrp.Backup && s.MasterPriority == 200 })

			c.cut(n.a)
			b.awaitState("v", vrrp.Master)
			st := a.await("v", "refused", refused)
			if want := "fd09::100/64 on eth1: "; len(st.AddressesRefused) != 1 || !strings.HasPrefix(st.AddressesRefused[0], want) ||
				!strings.HasSuffix(st.AddressesRefused[0], c.why) {
				t.Errorf("refused %q\nwant %s … %s", st.AddressesRefused, want, c.why)
			}
			eventually(t, "b has the address", func() bool { return has(t, n.b, "eth1", "fd09::100/64") })
			retried(t, a)
			if got := strings.Count(a.log.String(), "virtual addresses refused"); got != 1 {
				t.Errorf("the log says it %d times", got)
			}

			c.mend(n.a)
			a.awaitState("v", vrrp.Master)
			b.awaitState("v", vrrp.Backup)
			eventually(t, "a has the address again", func() bool { return has(t, n.a, "eth1", "fd09::100/64") })
			eventually(t, "b has given it up", func() bool { return !has(t, n.b, "eth1", "fd09::100/64") })
			if st := a.report("v", "whole", func(s vrrp.Status) bool { return len(s.AddressesRefused) == 0 }); st.EffectivePriority != 200 {
				t.Errorf("back with priority %d", st.EffectivePriority)
			}
			if got := fmt.Sprint(b.transitions()); got != "[INITIALIZE BACKUP MASTER BACKUP]" && got != "[BACKUP MASTER BACKUP]" {
				t.Errorf("b went through %s", got)
			}
		})
	}
}

// TestHostRefusedFromTheStart checks that no router yields to one that cannot have the address, despite its higher priority.
func TestHostRefusedFromTheStart(t *testing.T) {
	n := newSidewaysLAN(t)
	a, b := newStation(t, n.a), newStation(t, n.b)
	b.want(sideways(100))
	b.awaitState("v", vrrp.Master)
	before := len(b.transitions())
	sysctl(t, n.a, "net.ipv6.conf.eth1.disable_ipv6", "1")
	a.want(sideways(200))
	a.await("v", "refused", refused)
	retried(t, a)
	macA := macOf(t, n.a, "eth0")
	for _, s := range n.capture.all() {
		if s.advert != nil && s.mac == macA && s.advert.Priority != 0 {
			t.Errorf("a said priority %d", s.advert.Priority)
		}
	}
	if got := b.transitions()[before:]; len(got) > 0 {
		t.Errorf("b went through %v", got)
	}
	sysctl(t, n.a, "net.ipv6.conf.eth1.disable_ipv6", "0")
	a.awaitState("v", vrrp.Master)
	b.awaitState("v", vrrp.Backup)
	eventually(t, "a has the address", func() bool { return has(t, n.a, "eth1", "fd09::100/64") })
}

// TestHostRefusedInPart: each router can have one of two addresses. One router serves its address, and the first router that
// can have both takes over.
func TestHostRefusedInPart(t *testing.T) {
	n := newLAN(t)
	part := func(priority uint8) vrrp.Instance {
		in := instance(3, vrrp.IPv4, priority, 100*time.Millisecond)
		in.Addresses = append(in.Addresses, vrrp.Address{Prefix: netip.MustParsePrefix("10.9.7.1/24"), Interface: "eth7"})
		return in
	}
	a, b := newStation(t, n.a), newStation(t, n.b)
	a.want(part(200))
	b.want(part(100))
	pick := func(state vrrp.State) []*station {
		return slices.DeleteFunc([]*station{a, b}, func(s *station) bool { return s.status("v").State != state })
	}
	// Both may become master at the same moment; it is settled when the backup has heard the master.
	eventually(t, "one of them is master, the other its backup", func() bool {
		backups := pick(vrrp.Backup)
		return len(pick(vrrp.Master)) == 1 && len(backups) == 1 && backups[0].status("v").MasterPriority == 1
	})
	masters := pick(vrrp.Master)
	if len(masters) != 1 {
		t.Fatalf("%d masters", len(masters))
	}
	for _, s := range []*station{a, b} {
		st := s.report("v", "any", func(vrrp.Status) bool { return true })
		if want := []string{"10.9.7.1/24 on eth7: " + noInterface}; st.EffectivePriority != 1 || st.Transitions > 1 ||
			!slices.Equal(st.AddressesRefused, want) {
			t.Errorf("%s: %+v", s.host.Name(), st)
		}
		master := s == masters[0]
		eventually(t, fmt.Sprintf("%s, master: %v, has the address only as master", s.host.Name(), master), func() bool {
			return has(t, s.host, "eth0", "10.9.0.100/24") == master
		})
	}
	for _, s := range []*station{b, a} {
		if err := s.host.Attach(lab.NIC{Name: "eth7", Bridge: n.bridge}); err != nil {
			t.Fatal(err)
		}
		s.await("v", "master with its own priority", func(st vrrp.Status) bool { return st.State == vrrp.Master && st.EffectivePriority > 1 })
		eventually(t, s.host.Name()+" has both", func() bool {
			return has(t, s.host, "eth0", "10.9.0.100/24") && has(t, s.host, "eth7", "10.9.7.1/24")
		})
	}
	b.awaitState("v", vrrp.Backup)
}

// TestHostDuplicateAddress adds the IPv6 address to the backup by hand, where duplicate address detection finds the master.
// When the backup becomes master, it must still serve the address.
func TestHostDuplicateAddress(t *testing.T) {
	n := newLAN(t)
	a, b := pair(t, n, vrrp.IPv6, 100*time.Millisecond)
	flags := func(h *lab.Node) string {
		out, err := h.Command(context.Background(), "ip", "-6", "-o", "addr", "show", "dev", "eth0", "to", "fd09::100").CombinedOutput()
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	eventually(t, "the master's address has the flag nodad", func() bool { return strings.Contains(flags(n.a), "nodad") })
	sysctl(t, n.b, "net.ipv6.conf.eth0.accept_dad", "1")
	sysctl(t, n.b, "net.ipv6.conf.eth0.dad_transmits", "1")
	ip(t, n.b, "addr", "add", "fd09::100/64", "dev", "eth0")
	eventually(t, "detection has failed on b", func() bool { return strings.Contains(flags(n.b), "dadfailed") })
	p := startProber(t, n.observer, n.capture, netip.MustParseAddr("fd09::100"))
	p.awaitMore(t, 100)
	a.stop()
	b.awaitState("v", vrrp.Master)
	eventually(t, "b's address works", func() bool {
		f := flags(n.b)
		return strings.Contains(f, "nodad") && !strings.Contains(f, "dadfailed") && !strings.Contains(f, "tentative")
	})
	p.awaitMore(t, 300)
	// b reports the address when it repairs it, or earlier, when it finds it on a backup.
	reported := slices.ContainsFunc(strings.Split(b.log.String(), "\n"), func(line string) bool {
		return strings.Contains(line, "level=WARN") && strings.Contains(line, "fd09::100")
	})
	if !reported {
		t.Errorf("the log does not report the address:\n%s", b.log.String())
	}
}
