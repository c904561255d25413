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
	mac, err := net.ParseMAC(macOf(t, n.observer, "eth0"))
	if err != nil {
		t.Fatal(err)
	}
	stop := flood(t, n.observer, 10, claimOf(mac, "10.9.0.77"), claimOf(mac, "fd09::77"))
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

// claimOf returns an ARP packet or a neighbour advertisement of a host that claims an address.
func claimOf(mac net.HardwareAddr, address string) []byte {
	a := netip.MustParseAddr(address)
	if a.Is4() {
		packet := arpProbe(mac, netip.MustParseAddr("10.9.0.78"))
		copy(packet[arpSenderAt:], a.AsSlice())
		return packet
	}
	packet := neighborProbe(mac, netip.MustParseAddr("fe80::77"), a)
	packet[ipv6HeaderLen] = neighborAdvert
	return packet
}

// flood sends ARP packets and IPv6 packets to all hosts, in turn, at a rate for each millisecond, until stop is called. It returns the
// number of sent packets.
func flood(t *testing.T, host *lab.Node, perMillisecond int, packets ...[]byte) (stop func() int) {
	t.Helper()
	to := unix.SockaddrLinklayer{Halen: 6, Addr: [8]byte{255, 255, 255, 255, 255, 255}}
	var fd int
	err := host.Do(func() error {
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
	sent := 0
	go func() {
		defer close(ended)
		defer unix.Close(fd)
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for began := time.Now(); ; {
			select {
			case <-tick.C:
				for due := int(time.Since(began).Milliseconds()) * perMillisecond; sent < due; sent++ {
					select {
					case <-done: // a busy host does not send all that are due
						return
					default:
					}
					packet := packets[sent%len(packets)]
					to.Protocol = htons(unix.ETH_P_ARP)
					if packet[0]>>4 == 6 {
						to.Protocol = htons(unix.ETH_P_IPV6)
					}
					_ = unix.Sendto(fd, packet, 0, &to)
				}
			case <-done:
				return
			}
		}
	}()
	stop = sync.OnceValue(func() int {
		close(done)
		<-ended
		return sent
	})
	t.Cleanup(func() { stop() })
	return stop
}

// TestHostTimedNeighborFlood sends 100,000 ARP packets, neighbour advertisements and solicitations a second, most of them for the virtual
// addresses, to a master. Its adverts must stay on time, and the packets must cost it little.
func TestHostTimedNeighborFlood(t *testing.T) {
	const interval, seconds = 100 * time.Millisecond, 3
	attempts(t, func(n *lan) error {
		attacker := n.host(t, "f", "10.9.0.77/24")
		mac, err := net.ParseMAC(macOf(t, attacker, "eth0"))
		if err != nil {
			return err
		}
		a, b := pair(t, n, vrrp.IPv4, interval)
		v6 := instance(3, vrrp.IPv6, 200, interval)
		v6.Name = "v6"
		a.want(instance(3, vrrp.IPv4, 200, interval), v6)
		a.awaitState("v6", vrrp.Master)
		frames, err := n.b.Capture("eth0", lab.AdvertsOf(netip.MustParseAddr("10.9.0.1")))
		if err != nil {
			return err
		}
		defer func() { _ = frames.Stop() }()
		solicitation := neighborProbe(mac, netip.MustParseAddr("fe80::77"), netip.MustParseAddr("fd09::100"))
		cost := cpuTime(t, a.cmd.Process.Pid)
		stop := flood(t, attacker, 100, claimOf(mac, "10.9.0.100"), claimOf(mac, "10.9.0.77"), claimOf(mac, "fd09::100"), claimOf(mac, "fd09::77"), solicitation)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		var longest time.Duration
		for first, last := (time.Time{}), (time.Time{}); first.IsZero() || last.Sub(first) < seconds*time.Second; {
			f, err := frames.Next(ctx)
			if err != nil {
				return err
			}
			if first.IsZero() {
				first, last = f.Time, f.Time
			}
			longest, last = max(longest, f.Time.Sub(last)), f.Time
		}
		cost = cpuTime(t, a.cmd.Process.Pid) - cost
		sent := stop()
		t.Logf("%d packets; longest gap between adverts %s, CPU time of the master %s", sent, longest, cost)
		if sent < 50_000*seconds {
			return fmt.Errorf("only %d packets were sent", sent)
		}
		for _, name := range []string{"v", "v6"} {
			st := a.report(name, "aware of the other host", func(s vrrp.Status) bool { return len(s.Conflicts) > 0 })
			if st.State != vrrp.Master || len(st.Conflicts) > 1 {
				return fmt.Errorf("%s: %s, conflicts %+v", name, st.State, st.Conflicts)
			}
		}
		switch st := b.status("v"); {
		case st.Transitions > 0:
			return fmt.Errorf("the backup became master %d times", st.Transitions)
		case longest >= 2*interval:
			return fmt.Errorf("no advert for %s", longest)
		case cost > seconds*time.Second/2:
			return fmt.Errorf("the master used %s of CPU in %d s", cost, seconds)
		}
		return nil
	})
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
	if err := s.client.Report(ctx, true); err != nil {
		t.Fatal(err)
	}
	if c := s.status("v").Conflicts; len(c) > 0 {
		t.Errorf("conflicts with ourselves: %+v", c)
	}
}
