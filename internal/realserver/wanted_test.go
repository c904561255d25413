package realserver_test

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/realserver"
	"github.com/lvs-ha/lvs-ha/ipvs"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

func TestParseVIP(t *testing.T) {
	for _, s := range []string{"192.0.2.9", "192.0.2.9/32"} {
		if a, err := realserver.ParseVIP(s); err != nil || a != addr("192.0.2.9") {
			t.Errorf("%s: %v, %v", s, a, err)
		}
	}
	if a, err := realserver.ParseVIP("fd00::9/128"); err != nil || a != addr("fd00::9") {
		t.Errorf("%v, %v", a, err)
	}
	for s, corrected := range map[string]string{
		"": "192.0.2.10", "www": "192.0.2.10", "192.0.2.9:80": "192.0.2.9", "[fd00::9]:80": "fd00::9", "192.0.2.9/24": "192.0.2.9", "fd00::9/64": "fd00::9",
		"::ffff:192.0.2.9": "192.0.2.9", "fe80::1%eth0": "", "fe80::1": "", "0.0.0.0": "", "224.0.0.1": "", "127.0.0.1": "", "255.255.255.255": "",
	} {
		_, err := realserver.ParseVIP(s)
		if text, quoted := fmt.Sprint(err), strconv.Quote(s); !strings.Contains(text, quoted) || !strings.HasSuffix(text, corrected) {
			t.Errorf("%s: error %v, want it to name the input and end with %q", quoted, err, corrected)
		}
	}
}

func service(name, at string, p ipvs.Protocol, servers ...config.RealServer) config.VirtualService {
	s := config.VirtualService{Name: name, RealServers: servers}
	if at != "" {
		ap := netip.MustParseAddrPort(at)
		s.Protocol, s.Address, s.Port = p, ap.Addr(), ap.Port()
	}
	return s
}

func server(at string, f ipvs.ForwardMethod, change ...func(*ipvs.Destination)) config.RealServer {
	ap := netip.MustParseAddrPort(at)
	r := config.RealServer{Destination: ipvs.Destination{DestinationKey: ipvs.DestinationKey{Address: ap.Addr(), Port: ap.Port()}, Forward: f}}
	for _, c := range change {
		c(&r.Destination)
	}
	return r
}

func tunnel(kind ipvs.TunnelType, port uint16, flags ipvs.TunnelFlags) func(*ipvs.Destination) {
	return func(d *ipvs.Destination) { d.TunnelType, d.TunnelPort, d.TunnelFlags = kind, port, flags }
}

func TestFromConfig(t *testing.T) {
	cfg := &config.Config{
		VRRP: []config.VRRP{{Instance: vrrp.Instance{Addresses: []vrrp.Address{
			{Prefix: netip.MustParsePrefix("192.0.2.9/24")}, {Prefix: netip.MustParsePrefix("10.0.0.254/24")}}}}},
		Services: []config.VirtualService{
			service("web", "192.0.2.9:80", ipvs.TCP, server("10.0.0.1:8080", ipvs.Masquerade), server("10.0.0.2:8080", ipvs.Masquerade)),
			service("dns", "192.0.2.10:53", ipvs.UDP, server("10.0.0.2:53", ipvs.DirectRoute), server("10.0.0.1:53", ipvs.DirectRoute)),
			service("dns by tcp", "192.0.2.10:53", ipvs.TCP, server("10.0.0.1:53", ipvs.DirectRoute)),
			service("all ports", "192.0.2.11:0", ipvs.TCP, server("10.0.0.1:0", ipvs.Tunnel)),
			service("gue", "[fd00::9]:80", ipvs.TCP, server("10.0.0.1:80", ipvs.Tunnel, tunnel(ipvs.TunnelGUE, 6081, 0))),
			service("gre", "[fd00::9]:81", ipvs.SCTP, server("10.0.0.1:81", ipvs.Tunnel, tunnel(ipvs.TunnelGRE, 0, 0))),
			service("marked", "", 0, server("10.0.0.1:80", ipvs.DirectRoute)),
			service("other", "192.0.2.12:80", ipvs.TCP, server("10.0.0.3:80", ipvs.DirectRoute)),
			service("itself", "192.0.2.13:80", ipvs.TCP, server("10.0.0.1:80", ipvs.Local)),
		},
	}
	w, notes, err := realserver.FromConfig(cfg, []netip.Addr{addr("10.0.0.1"), addr("10.1.0.1")})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "wanted", w, realserver.Wanted{
		Directors: []netip.Addr{addr("192.0.2.9"), addr("10.0.0.254")},
		VIPs: []realserver.VIP{
			{Address: addr("192.0.2.9"), Mode: realserver.NAT},
			{Address: addr("192.0.2.10"), Mode: realserver.DR},
			{Address: addr("192.0.2.11"), Mode: realserver.TUN, Tunnel: &realserver.Tunnel{Type: realserver.IPIP, Outer4: true}},
			{Address: addr("fd00::9"), Mode: realserver.TUN, Tunnel: &realserver.Tunnel{Type: realserver.GUE, Outer4: true, Port: 6081}},
			{Address: addr("fd00::9"), Mode: realserver.TUN, Tunnel: &realserver.Tunnel{Type: realserver.GRE, Outer4: true}},
		},
		Listeners: []realserver.Listener{
			{Network: "tcp", Address: netip.MustParseAddrPort("10.0.0.1:8080")},
			{Network: "udp", Address: netip.MustParseAddrPort("192.0.2.10:53")},
			{Network: "tcp", Address: netip.MustParseAddrPort("192.0.2.10:53")},
			{Network: "tcp", Address: netip.MustParseAddrPort("[fd00::9]:80")},
		},
	})
	equal(t, "notes", notes, []string{`virtual service "marked" uses a firewall mark: name its addresses with --vip`})

	for _, c := range []struct {
		services []config.VirtualService
		names    []string
	}{
		{nil, []string{"10.0.0.1"}},
		{[]config.VirtualService{service("gre", "192.0.2.9:80", ipvs.TCP, server("10.0.0.1:80", ipvs.Tunnel, tunnel(ipvs.TunnelGRE, 0, ipvs.TunnelChecksum)))},
			[]string{`"gre"`, "10.0.0.1", "gre0", "csum"}},
		{[]config.VirtualService{service("x", "192.0.2.9:80", ipvs.TCP, server("10.0.0.1:80", 9))}, []string{`"x"`, "10.0.0.1", "forwarding method 9"}},
	} {
		_, _, err := realserver.FromConfig(&config.Config{Services: c.services}, []netip.Addr{addr("10.0.0.1")})
		for _, name := range c.names {
			if !strings.Contains(fmt.Sprint(err), name) {
				t.Errorf("error %v does not name %q", err, name)
			}
		}
	}
}

func TestShellScript(t *testing.T) {
	w := tun("fd00::9", realserver.Tunnel{Type: realserver.GUE})
	w.VIPs = append(w.VIPs, realserver.VIP{Address: addr("192.0.2.9"), Mode: realserver.NAT})
	script, err := realserver.ShellScript(w)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "script", script, `#!/bin/sh
(
set -eu
modprobe ip6_tunnel
modprobe fou
ip fou show | grep -qxF -e 'port 6080 gue -6' || ip -6 fou add port 6080 gue
ip link set dev ip6tnl0 up
ip -6 address replace fd00::9/128 dev ip6tnl0 nodad preferred_lft 0
# 192.0.2.9 by nat: nothing to do, except to route replies through the director
)
`)
	if _, err := realserver.ShellScript(realserver.Wanted{}); err == nil {
		t.Error("no error without addresses")
	}
}
