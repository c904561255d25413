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
	nat := func(directors ...string) realserver.Wanted {
		w := realserver.Wanted{VIPs: []realserver.VIP{{Address: addr("202.99.59.110"), Mode: realserver.NAT}}}
		for _, d := range directors {
			w.Directors = append(w.Directors, addr(d))
		}
		return w
	}
	gateway := func(remedy string) []realserver.Check {
		return []realserver.Check{{Code: "gateway", Remedy: remedy}}
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
			{Code: "arp-ignore", Remedy: "sysctl -w net.ipv4.conf.all.arp_ignore=1"},
			{Code: "arp-announce", Remedy: "sysctl -w net.ipv4.conf.all.arp_announce=2"},
			{Code: "address", Remedy: "ip -4 address replace 192.0.2.9/32 dev lo"},
			{Code: "host-route", Remedy: "ip -4 route replace 192.0.2.9/32 dev lo scope link"},
			{Code: "address", Remedy: "ip -6 address replace fd00::9/128 dev lo nodad preferred_lft 0"},
		}},
		{"one device overrides all", dr("192.0.2.9"), func(m *realservertest.Machine) { m.Set("net.ipv4.conf.eth0.arp_ignore", "3") }, dr("192.0.2.9"),
			[]realserver.Check{{Code: "arp-ignore", Remedy: "sysctl -w net.ipv4.conf.eth0.arp_ignore=1"}}},
		{"a stricter value is accepted", dr("192.0.2.9"), func(m *realservertest.Machine) { m.Set("net.ipv4.conf.eth0.arp_ignore", "8") }, dr("192.0.2.9"), nil},
		{"the address twice", dr("192.0.2.9"), func(m *realservertest.Machine) { m.AddAddress("eth0", "192.0.2.9/24") }, dr("192.0.2.9"),
			[]realserver.Check{{Code: "address-elsewhere", Remedy: "ip -4 address del 192.0.2.9/24 dev eth0"}}},
		{"a proxy", dr("fd00::9"), func(m *realservertest.Machine) {
			m.Change(func(o *realserver.Observed) {
				o.Proxied = []realserver.Proxy{{Interface: "eth0", Address: addr("fd00::9")}}
			})
		}, dr("fd00::9"), []realserver.Check{{Code: "neighbor-proxy", Remedy: "ip -6 neigh del proxy fd00::9 dev eth0"}}},
		{"a tunnel with a strict reverse path", tun("192.0.2.9", ipip), func(m *realservertest.Machine) {
			m.Set("net.ipv4.conf.tunl0.rp_filter", "0")
			m.Set("net.ipv4.conf.all.rp_filter", "1")
		}, tun("192.0.2.9", ipip), []realserver.Check{{Code: "reverse-path", Remedy: "sysctl -w net.ipv4.conf.tunl0.rp_filter=2"}}},
		{"a tunnel that is down", tun("192.0.2.9", ipip), func(m *realservertest.Machine) {
			_ = m.Do(t.Context(), realserver.Step{Action: realserver.SetDown, Interface: "tunl0"})
		}, tun("192.0.2.9", ipip), []realserver.Check{{Code: "device", Remedy: "ip link set dev tunl0 up"}}},
		{"a port of GUE is closed", tun("fd00::9", realserver.Tunnel{Type: realserver.GUE}), func(m *realservertest.Machine) {
			m.Change(func(o *realserver.Observed) { o.FOU = []realserver.FOU{} })
		}, tun("fd00::9", realserver.Tunnel{Type: realserver.GUE}), []realserver.Check{{Code: "gue-port", Remedy: "ip -6 fou add port 6080 gue"}}},
		{"the dummy device is missing", dr("192.0.2.9"), nil, onDevice("dummy0", "192.0.2.77"), []realserver.Check{
			{Code: "device", Remedy: "ip link add dummy0 type dummy; ip link set dev dummy0 up # if it should be a dummy device"},
			{Code: "address", Remedy: "ip -4 address replace 192.0.2.77/32 dev dummy0"},
			{Code: "host-route", Remedy: "ip -4 route replace 192.0.2.77/32 dev dummy0 scope link"},
		}},
		{"one device overrides all, which is not set either", dr("192.0.2.9"), func(m *realservertest.Machine) {
			m.Set("net.ipv4.conf.all.arp_ignore", "0")
			m.Set("net.ipv4.conf.eth0.arp_ignore", "3")
			m.AddLink(host.Link{Name: "eth1", Up: true})
		}, dr("192.0.2.9"), []realserver.Check{
			{Code: "arp-ignore", Remedy: "sysctl -w net.ipv4.conf.eth0.arp_ignore=1"},
			{Code: "arp-ignore", Remedy: "sysctl -w net.ipv4.conf.all.arp_ignore=1"},
		}},
		{"no GUE", tun("fd00::9", realserver.Tunnel{Type: realserver.GUE}), func(m *realservertest.Machine) {
			m.Change(func(o *realserver.Observed) { o.FOU = nil })
		}, tun("fd00::9", realserver.Tunnel{Type: realserver.GUE}), []realserver.Check{{Code: "gue-port", Remedy: "modprobe fou; ip -6 fou add port 6080 gue"}}},
		{"IPv4 in IPv6 not taken", tun("192.0.2.9", realserver.Tunnel{Type: realserver.IPIP}), func(m *realservertest.Machine) {
			_ = m.Do(t.Context(), realserver.Step{Action: realserver.TakeIPv6, Interface: "ip6tnl0"})
		}, tun("192.0.2.9", realserver.Tunnel{Type: realserver.IPIP}), []realserver.Check{{Code: "device", Remedy: "ip -6 tunnel change ip6tnl0 mode any"}}},
		{"NAT through the director", realserver.Wanted{}, nil, nat("192.0.2.253", "192.0.2.1"), nil},
		{"NAT, director unknown", realserver.Wanted{}, nil, nat(), nil},
		{"NAT bypassing the director, with one director address on link", realserver.Wanted{}, nil, nat("203.0.113.9", "192.0.2.254"),
			gateway("ip -4 route replace default via 192.0.2.254")},
		{"NAT bypassing the director", realserver.Wanted{}, nil, nat("192.0.2.254"),
			gateway("ip -4 route replace default via 192.0.2.254")},
		{"NAT without a default route", realserver.Wanted{}, func(m *realservertest.Machine) { m.Change(func(o *realserver.Observed) { o.Routes = nil }) }, nat(),
			gateway("ip -4 route replace default via DIRECTOR")},
		{"NAT with a direct default route", realserver.Wanted{}, func(m *realservertest.Machine) {
			m.Change(func(o *realserver.Observed) { o.Routes[0].Gateway = netip.Addr{} })
		}, nat("fd00::1", "192.0.2.254"), gateway("ip -4 route replace default via 192.0.2.254")},
		{"no listener", realserver.Wanted{}, func(m *realservertest.Machine) {
			m.Change(func(o *realserver.Observed) {
				o.Sockets = []realserver.Listener{{Network: "tcp", Address: netip.MustParseAddrPort("[::]:80")}, {Network: "udp", Address: netip.MustParseAddrPort("0.0.0.0:53")}}
			})
		}, realserver.Wanted{VIPs: nat().VIPs, Listeners: []realserver.Listener{
			{Network: "tcp", Address: netip.MustParseAddrPort("192.0.2.8:80")}, {Network: "udp", Address: netip.MustParseAddrPort("192.0.2.8:80")},
			{Network: "udp", Address: netip.MustParseAddrPort("[fd00::8]:53")},
		}}, []realserver.Check{
			{Code: "listener", Remedy: "make the server listen on 192.0.2.8 or on all addresses"},
			{Code: "listener", Remedy: "make the server listen on fd00::8 or on all addresses"},
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
			failed := wrong(status)
			for i, check := range failed {
				if check.What == "" || check.Why == "" && check.Code != realserver.CodeElsewhere {
					t.Errorf("no explanation: %+v", check)
				}
				failed[i].What, failed[i].Why = "", ""
			}
			equal(t, "failed checks", failed, c.wrong)
			if status.OK != (len(c.wrong) == 0) {
				t.Errorf("ok is %v", status.OK)
			}
		})
	}
}

// A device that does not exist has no passing checks.
func TestInspectWithoutTheDevice(t *testing.T) {
	o := observe(t, realservertest.New("192.0.2.1", "192.0.2.8/24"))
	for _, c := range realserver.Inspect(tun("192.0.2.9", realserver.Tunnel{Type: realserver.IPIP, Outer4: true}), o).Checks {
		if c.OK {
			t.Errorf("found %+v", c)
		}
	}
}
