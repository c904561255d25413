package speaker

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvs-ha/lvs-ha/internal/lab"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// TestHostSplitBrainIsSeen causes each kind of conflict on real networks: an address used by another host, adverts dropped
// by a packet filter, and a wrong virtual router ID on one node.
func TestHostSplitBrainIsSeen(t *testing.T) {
	n := newLAN(t)
	a, b := newStation(t, n.a), newStation(t, n.b)
	sets := func(priority uint8) []vrrp.Instance {
		v4, v6 := instance(3, vrrp.IPv4, priority, 100*time.Millisecond), instance(3, vrrp.IPv6, priority, 100*time.Millisecond)
		v6.Name = "v6"
		return []vrrp.Instance{v4, v6}
	}
	a.want(sets(200)...)
	a.awaitState("v", vrrp.Master)
	a.awaitState("v6", vrrp.Master)
	sees := func(kind vrrp.ConflictKind, hardware bool) func(vrrp.Status) bool {
		return func(s vrrp.Status) bool {
			for _, c := range s.Conflicts {
				if c.Kind == kind && (!hardware || c.Hardware == macOf(t, n.observer, "eth0")) {
					return true
				}
			}
			return false
		}
	}
	stop := floodARP(t, n.observer, macOf(t, n.observer, "eth0"))
	address4, address6 := sets(1)[0].Addresses[0].Prefix.String(), sets(1)[1].Addresses[0].Prefix.String()
	ip(t, n.observer, "address", "add", address4, "dev", "eth0")
	ip(t, n.observer, "address", "add", address6, "dev", "eth0", "nodad")
	a.report("v", "the address elsewhere", sees(vrrp.ConflictAddress, true))
	a.report("v6", "the IPv6 address elsewhere", sees(vrrp.ConflictAddress, true))
	stop()
	ip(t, n.observer, "address", "del", address4, "dev", "eth0")
	ip(t, n.observer, "address", "del", address6, "dev", "eth0")

	other := sets(100)
	for i := range other {
		other[i].VirtualRouterID++
	}
	b.want(other...)
	b.awaitState("v", vrrp.Master)
	for _, of := range []*station{a, b} {
		of.report("v", "another router id", sees(vrrp.ConflictRouterID, false))
		of.report("v6", "another router id", sees(vrrp.ConflictRouterID, false))
	}

	for _, host := range []*lab.Node{n.a, n.b} {
		if out, err := host.Command(t.Context(), "nft", "add table inet f; add chain inet f in { type filter hook input priority 0; }; "+
			"add rule inet f in meta l4proto 112 drop").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	b.want(sets(100)...)
	for _, of := range []*station{a, b} {
		of.report("v", "hidden adverts", sees(vrrp.ConflictHidden, false))
		of.report("v6", "hidden adverts", sees(vrrp.ConflictHidden, false))
	}
}

// floodARP sends 10,000 ARP packets a second from an address that is of no interest, until stop is called.
func floodARP(t *testing.T, host *lab.Node, mac string) (stop func()) {
	t.Helper()
	hardware, err := net.ParseMAC(mac)
	if err != nil {
		t.Fatal(err)
	}
	packet := arpProbe(hardware, netip.MustParseAddr("10.9.0.78"))
	copy(packet[arpSenderAt:], []byte{10, 9, 0, 77})
	to := unix.SockaddrLinklayer{Protocol: htons(unix.ETH_P_ARP), Halen: 6, Addr: [8]byte{255, 255, 255, 255, 255, 255}}
	var fd int
	err = host.Do(func() error {
		eth0, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		to.Ifindex = eth0.Index
		fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		defer unix.Close(fd)
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				for range 10 {
					_ = unix.Sendto(fd, packet, 0, &to)
				}
			case <-done:
				return
			}
		}
	}()
	stop = sync.OnceFunc(func() {
		close(done)
		<-ended
	})
	t.Cleanup(stop)
	return stop
}

// TestHostOwnOtherInterfaceIsNoConflict uses a host with two interfaces on the same network, where the second answers the
// probes that the first sends.
func TestHostOwnOtherInterfaceIsNoConflict(t *testing.T) {
	n := newLAN(t)
	two, err := n.lab.Host("two",
		lab.NIC{Name: "eth0", Bridge: n.bridge, Addresses: lab.Prefixes("10.9.0.3/24")},
		lab.NIC{Name: "eth1", Bridge: n.bridge, Addresses: lab.Prefixes("10.9.0.4/24")})
	if err != nil {
		t.Fatal(err)
	}
	frames, err := two.Capture("eth0", lab.Filter{EtherTypes: []uint16{lab.EtherTypeARP}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = frames.Stop() }()
	s := newStation(t, two)
	in := instance(3, vrrp.IPv4, 200, 100*time.Millisecond)
	for i := range 50 { // a probe every 200 ms
		in.Addresses = append(in.Addresses, vrrp.Address{Prefix: netip.MustParsePrefix(fmt.Sprintf("10.9.0.%d/32", 101+i))})
	}
	s.want(in)
	s.awaitState("v", vrrp.Master)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	second := macOf(t, two, "eth1")
	for answers := 0; answers < 3; {
		frame, err := frames.Next(ctx)
		if err != nil {
			t.Fatalf("%d answers of the second interface: %v", answers, err)
		}
		b := frame.Data
		late := time.Since(s.status("v").Since) > conflictGrace+100*time.Millisecond
		if len(b) >= 42 && b[21] == 2 && net.HardwareAddr(b[22:28]).String() == second && late {
			answers++
		}
	}
	if err := s.client.Report(ctx); err != nil {
		t.Fatal(err)
	}
	if c := s.status("v").Conflicts; len(c) > 0 {
		t.Errorf("conflicts with ourselves: %+v", c)
	}
}
