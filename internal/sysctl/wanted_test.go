package sysctl_test

import (
	"net/netip"
	"testing"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/sysctl"
	"github.com/lvs-ha/lvs-ha/internal/sysctl/sysctltest"
	"github.com/lvs-ha/lvs-ha/ipvs"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

func director(vip string, f ipvs.ForwardMethod, servers ...string) *config.Config {
	cfg := &config.Config{VRRP: []config.VRRP{{Instance: vrrp.Instance{
		Interface: "eth0", Addresses: []vrrp.Address{{Prefix: netip.MustParsePrefix(vip)}, {Prefix: netip.MustParsePrefix("10.9.0.1/24"), Interface: "eth1.5"}},
	}}}}
	s := config.VirtualService{Service: ipvs.Service{ServiceKey: ipvs.ServiceKey{Address: netip.MustParsePrefix(vip).Addr()}}}
	for _, r := range servers {
		s.RealServers = append(s.RealServers, config.RealServer{Destination: ipvs.Destination{
			DestinationKey: ipvs.DestinationKey{Address: netip.MustParseAddr(r)}, Forward: f}})
	}
	cfg.Services = []config.VirtualService{s}
	return cfg
}

func TestWanted(t *testing.T) {
	for _, c := range []struct {
		name string
		cfg  *config.Config
		want []string
	}{
		{"nothing", &config.Config{}, nil},
		{"DR", director("192.0.2.9/24", ipvs.DirectRoute, "192.0.2.1"), nil},
		{"TUN", director("192.0.2.9/24", ipvs.Tunnel, "10.0.0.1", "fd00::1"), nil},
		{"NAT", director("192.0.2.9/24", ipvs.Masquerade, "10.0.0.1"), []string{"sysctl -w net.ipv4.ip_forward=1"}},
		{"NAT by IPv6", director("fd00::9/64", ipvs.Masquerade, "fd00::1"), []string{
			"sysctl -w net.ipv6.conf.*.accept_ra=2", "sysctl -w net.ipv6.conf.all.forwarding=1"}},
		{"NAT on one network", director("192.0.2.9/24", ipvs.Masquerade, "192.0.2.1", "192.0.2.2"), []string{
			"sysctl -w net.ipv4.ip_forward=1", "sysctl -w net.ipv4.conf.all.send_redirects=0", "sysctl -w net.ipv4.conf.eth0.send_redirects=0"}},
		{"NAT between two networks", director("192.0.2.9/24", ipvs.Masquerade, "10.9.0.7"), []string{"sysctl -w net.ipv4.ip_forward=1"}},
		{"NAT from a host address", director("192.0.2.9/32", ipvs.Masquerade, "192.0.2.9"), []string{"sysctl -w net.ipv4.ip_forward=1"}},
	} {
		var got []string
		for _, s := range sysctl.Wanted(c.cfg) {
			got = append(got, s.Command())
			if s.Why == "" {
				t.Errorf("%s: nobody knows why %s", c.name, s.Key)
			}
		}
		equal(t, c.name, got, c.want)
	}
}

func TestKeeperTakesPatterns(t *testing.T) {
	before := map[string]string{
		"net.ipv6.conf.eth0.accept_ra": "1", "net.ipv6.conf.eth1.accept_ra": "0", "net.ipv6.conf.lo.accept_ra": "2",
		"net.ipv6.conf.all.forwarding": "0", "net.ipv6.conf.eth0.forwarding": "0",
	}
	kernel := sysctltest.New(before)
	kernel.Couple("net.ipv6.conf.all.forwarding", "net.ipv6.conf.eth0.forwarding", func(v string) string { return v })
	k := keeper(t, kernel)
	wanted := sysctl.Wanted(director("fd00::9/64", ipvs.Masquerade, "fd00::1"))
	for range 2 {
		if _, err := k.Apply(wanted); err != nil {
			t.Fatal(err)
		}
	}
	equal(t, "writes", kernel.Writes(), []string{"net.ipv6.conf.eth0.accept_ra=2", "net.ipv6.conf.all.forwarding=1"})
	if _, err := k.Restore(); err != nil {
		t.Fatal(err)
	}
	equal(t, "after restore", kernel.Values(), before)
}
