package realserver_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/lvs-ha/lvs-ha/internal/host"
	"github.com/lvs-ha/lvs-ha/internal/realserver"
	"github.com/lvs-ha/lvs-ha/internal/realserver/realservertest"
)

func wrong(s realserver.Status) []realserver.Check {
	return slices.DeleteFunc(slices.Clone(s.Checks), func(c realserver.Check) bool { return c.OK })
}

func TestInspect(t *testing.T) {
	const arpWhy = "this host answers ARP for the virtual addresses and diverts their traffic from the director"
	const packetsWhy = "packets from the director are not accepted"
	nat := func(directors ...string) realserver.Wanted {
		w := realserver.Wanted{VIPs: []realserver.VIP{{Address: addr("202.99.59.110"), Mode: realserver.NAT}}}
		for _, d := range directors {
			w.Directors = append(w.Directors, addr(d))
		}
		return w
	}
	gateway := func(what, mend string) []realserver.Check {
		return []realserver.Check{{Code: "gateway", What: what, Mend: mend,
			Why: "replies that bypass the director keep the real server's address, and clients drop them"}}
	}
	ipip := realserver.Tunnel{Type: realserver.IPIP, Outer4: true}
	for _, c := range []struct {
		name   string
		up     realserver.Wanted // brought up first
		change func(*realservertest.Machine)
		wanted realserver.Wanted
		wrong  []realserver.Check
	}{
		{"DR as it should be", dr("192.0.2.9", "fd00::9"), nil, dr("192.0.2.9", "fd00::9"), nil},
		{"DR on a bare machine", realserver.Wanted{}, nil, dr("192.0.2.9", "fd00::9"), []realserver.Check{
			{Code: "arp-ignore", What: "arp_ignore is 0 on eth0", Why: arpWhy, Mend: "sysctl -w net.ipv4.conf.all.arp_ignore=1"},
			{Code: "arp-announce", What: "arp_announce is 0 on eth0", Why: "ARP requests have a virtual address as their sender, and neighbours learn it from them", Mend: "sysctl -w net.ipv4.conf.all.arp_announce=2"},
			{Code: "address", What: "192.0.2.9/32 is not on lo", Why: "packets for it are not delivered locally: they are dropped or forwarded", Mend: "ip -4 address replace 192.0.2.9/32 dev lo"},
			{Code: "host-route", What: "no host route to 192.0.2.9 through lo", Why: "without it, packets for the address would be sent back out when the address is removed", Mend: "ip -4 route replace 192.0.2.9/32 dev lo scope link"},
			{Code: "address", What: "fd00::9/128 is not on lo", Why: "packets for it are not delivered locally: they are dropped or forwarded", Mend: "ip -6 address replace fd00::9/128 dev lo nodad preferred_lft 0"},
		}},
		{"one device is of another mind", dr("192.0.2.9"), func(m *realservertest.Machine) { m.Set("net.ipv4.conf.eth0.arp_ignore", "3") }, dr("192.0.2.9"),
			[]realserver.Check{{Code: "arp-ignore", What: "arp_ignore is 3 on eth0", Why: arpWhy, Mend: "sysctl -w net.ipv4.conf.eth0.arp_ignore=1"}}},
		{"stricter is as good", dr("192.0.2.9"), func(m *realservertest.Machine) { m.Set("net.ipv4.conf.eth0.arp_ignore", "8") }, dr("192.0.2.9"), nil},
		{"the address twice", dr("192.0.2.9"), func(m *realservertest.Machine) { m.AddAddress("eth0", "192.0.2.9/24") }, dr("192.0.2.9"),
			[]realserver.Check{{Code: "address-elsewhere", What: "192.0.2.9: eth0 has it: this host may answer ARP or neighbour discovery there and divert its traffic from the director", Mend: "ip -4 address del 192.0.2.9/24 dev eth0"}}},
		{"a proxy", dr("fd00::9"), func(m *realservertest.Machine) {
			m.Change(func(o *realserver.Observed) {
				o.Proxied = []realserver.Proxy{{Interface: "eth0", Address: addr("fd00::9")}}
			})
		}, dr("fd00::9"), []realserver.Check{{Code: "neighbor-proxy", What: "this host is a neighbour discovery proxy for fd00::9",
			Why: "it answers for the address and diverts its traffic from the director", Mend: "ip -6 neigh del proxy fd00::9 dev eth0"}}},
		{"a tunnel with a strict reverse path", tun("192.0.2.9", ipip), func(m *realservertest.Machine) {
			m.Set("net.ipv4.conf.tunl0.rp_filter", "0")
			m.Set("net.ipv4.conf.all.rp_filter", "1")
		}, tun("192.0.2.9", ipip), []realserver.Check{{Code: "reverse-path", What: "tunl0 drops packets from remote clients: its rp_filter is 1",
			Why: "the route back to a client never leads through the tunnel", Mend: "sysctl -w net.ipv4.conf.tunl0.rp_filter=2"}}},
		{"a tunnel that is down", tun("192.0.2.9", ipip), func(m *realservertest.Machine) {
			_ = m.Do(t.Context(), realserver.Step{Action: realserver.SetDown, Interface: "tunl0"})
		}, tun("192.0.2.9", ipip), []realserver.Check{{Code: "device", What: "tunl0 is down", Why: packetsWhy, Mend: "ip link set dev tunl0 up"}}},
		{"a port of GUE is closed", tun("fd00::9", realserver.Tunnel{Type: realserver.GUE}), func(m *realservertest.Machine) {
			m.Change(func(o *realserver.Observed) { o.FOU = []realserver.FOU{} })
		}, tun("fd00::9", realserver.Tunnel{Type: realserver.GUE}), []realserver.Check{{Code: "gue-port", What: "the kernel does not unwrap GUE at port 6080", Why: packetsWhy, Mend: "ip -6 fou add port 6080 gue"}}},
		{"a device of its own is gone", dr("192.0.2.9"), nil, onDevice("dummy0", "192.0.2.77"), []realserver.Check{
			{Code: "device", What: "dummy0 does not exist", Why: packetsWhy, Mend: "ip link add dummy0 type dummy; ip link set dev dummy0 up # if it should be a dummy device"},
			{Code: "address", What: "192.0.2.77/32 is not on dummy0", Why: "packets for it are not delivered locally: they are dropped or forwarded", Mend: "ip -4 address replace 192.0.2.77/32 dev dummy0"},
			{Code: "host-route", What: "no host route to 192.0.2.77 through dummy0", Why: "without it, packets for the address would be sent back out when the address is removed", Mend: "ip -4 route replace 192.0.2.77/32 dev dummy0 scope link"},
		}},
		{"a device of its own mind, and nothing for all", dr("192.0.2.9"), func(m *realservertest.Machine) {
			m.Set("net.ipv4.conf.all.arp_ignore", "0")
			m.Set("net.ipv4.conf.eth0.arp_ignore", "3")
			m.AddLink(host.Link{Name: "eth1", Up: true})
		}, dr("192.0.2.9"), []realserver.Check{
			{Code: "arp-ignore", What: "arp_ignore is 3 on eth0", Why: arpWhy, Mend: "sysctl -w net.ipv4.conf.eth0.arp_ignore=1"},
			{Code: "arp-ignore", What: "arp_ignore is 0 on eth1", Why: arpWhy, Mend: "sysctl -w net.ipv4.conf.all.arp_ignore=1"},
		}},
		{"no GUE", tun("fd00::9", realserver.Tunnel{Type: realserver.GUE}), func(m *realservertest.Machine) {
			m.Change(func(o *realserver.Observed) { o.FOU = nil })
		}, tun("fd00::9", realserver.Tunnel{Type: realserver.GUE}), []realserver.Check{{Code: "gue-port", What: "the kernel does not unwrap GUE at port 6080", Why: packetsWhy, Mend: "modprobe fou; ip -6 fou add port 6080 gue"}}},
		{"IPv4 in IPv6 not taken", tun("192.0.2.9", realserver.Tunnel{Type: realserver.IPIP}), func(m *realservertest.Machine) {
			_ = m.Do(t.Context(), realserver.Step{Action: realserver.TakeIPv6, Interface: "ip6tnl0"})
		}, tun("192.0.2.9", realserver.Tunnel{Type: realserver.IPIP}), []realserver.Check{{Code: "device", What: "ip6tnl0 is up, but does not accept IPv4 packets", Why: packetsWhy, Mend: "ip -6 tunnel change ip6tnl0 mode any"}}},
		{"NAT through the director", realserver.Wanted{}, nil, nat("192.0.2.253", "192.0.2.1"), nil},
		{"NAT, nobody knows", realserver.Wanted{}, nil, nat(), nil},
		{"NAT past the director, of whose addresses one can be a gateway", realserver.Wanted{}, nil, nat("203.0.113.9", "192.0.2.254"),
			gateway("the default route leads through 192.0.2.1, which is not the director 203.0.113.9 or 192.0.2.254", "ip -4 route replace default via 192.0.2.254")},
		{"NAT past the director", realserver.Wanted{}, nil, nat("192.0.2.254"),
			gateway("the default route leads through 192.0.2.1, which is not the director 192.0.2.254", "ip -4 route replace default via 192.0.2.254")},
		{"NAT without a way", realserver.Wanted{}, func(m *realservertest.Machine) { m.Change(func(o *realserver.Observed) { o.Routes = nil }) }, nat(),
			gateway("no default route", "ip -4 route replace default via DIRECTOR")},
		{"NAT straight out", realserver.Wanted{}, func(m *realservertest.Machine) {
			m.Change(func(o *realserver.Observed) { o.Routes[0].Gateway = netip.Addr{} })
		}, nat("fd00::1", "192.0.2.254"), gateway("the default route has no gateway: it leads directly to eth0", "ip -4 route replace default via 192.0.2.254")},
		{"nobody listens", realserver.Wanted{}, func(m *realservertest.Machine) {
			m.Change(func(o *realserver.Observed) {
				o.Sockets = []realserver.Listener{{Network: "tcp", Address: netip.MustParseAddrPort("[::]:80")}, {Network: "udp", Address: netip.MustParseAddrPort("0.0.0.0:53")}}
			})
		}, realserver.Wanted{VIPs: nat().VIPs, Listeners: []realserver.Listener{
			{Network: "tcp", Address: netip.MustParseAddrPort("192.0.2.8:80")}, {Network: "udp", Address: netip.MustParseAddrPort("192.0.2.8:80")},
			{Network: "udp", Address: netip.MustParseAddrPort("[fd00::8]:53")},
		}}, []realserver.Check{
			{Code: "listener", What: "nothing listens on udp 192.0.2.8:80", Why: "connections through the director are refused", Mend: "make the server listen on 192.0.2.8 or on all addresses"},
			{Code: "listener", What: "nothing listens on udp [fd00::8]:53", Why: "connections through the director are refused", Mend: "make the server listen on fd00::8 or on all addresses"},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := realservertest.New("192.0.2.1", "192.0.2.8/24", "fd00::8/64")
			s := newServer(t, m)
			if len(c.up.VIPs) > 0 {
				if _, err := s.Up(t.Context(), c.up); err != nil {
					t.Fatal(err)
				}
			}
			if c.change != nil {
				c.change(m)
			}
			status, err := s.Status(t.Context(), c.wanted)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "what is wrong", wrong(status), c.wrong)
			if status.OK != (len(c.wrong) == 0) {
				t.Errorf("ok is %v", status.OK)
			}
		})
	}
}

// Nothing is said to be right of a device that is not there.
func TestInspectWithoutTheDevice(t *testing.T) {
	o := observe(t, realservertest.New("192.0.2.1", "192.0.2.8/24"))
	for _, c := range realserver.Inspect(tun("192.0.2.9", realserver.Tunnel{Type: realserver.IPIP, Outer4: true}), o).Checks {
		if c.OK {
			t.Errorf("found %+v", c)
		}
	}
}
