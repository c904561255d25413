package config_test

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/ipvs"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

func director(vip string, f ipvs.ForwardMethod, servers ...string) *config.Config {
	cfg := &config.Config{VRRP: []config.VRRP{{Instance: vrrp.Instance{
		Interface: "eth0", Addresses: []vrrp.Address{{Prefix: netip.MustParsePrefix(vip)}, {Prefix: netip.MustParsePrefix("10.9.0.1/24"), Interface: "eth1.5"}},
	}}}}
	for range 2 {
		s := config.VirtualService{Service: ipvs.Service{ServiceKey: ipvs.ServiceKey{Address: netip.MustParsePrefix(vip).Addr()}}}
		for _, r := range servers {
			s.RealServers = append(s.RealServers, config.RealServer{Destination: ipvs.Destination{
				DestinationKey: ipvs.DestinationKey{Address: netip.MustParseAddr(r)}, Forward: f}})
		}
		cfg.Services = append(cfg.Services, s)
	}
	return cfg
}

func TestNAT(t *testing.T) {
	other := director("10.9.0.1/24", ipvs.Masquerade, "10.9.0.7")
	other.VRRP[0].Addresses = other.VRRP[0].Addresses[1:]
	for _, c := range []struct {
		name string
		cfg  *config.Config
		want config.NAT
	}{
		{"nothing", &config.Config{}, config.NAT{}},
		{"DR", director("192.0.2.9/24", ipvs.DirectRoute, "192.0.2.1"), config.NAT{}},
		{"TUN", director("192.0.2.9/24", ipvs.Tunnel, "10.0.0.1", "fd00::1"), config.NAT{}},
		{"NAT", director("192.0.2.9/24", ipvs.Masquerade, "10.0.0.1"), config.NAT{IPv4: true}},
		{"NAT by IPv6", director("fd00::9/64", ipvs.Masquerade, "fd00::1"), config.NAT{IPv6: true}},
		{"NAT of both families", director("192.0.2.9/24", ipvs.Masquerade, "10.0.0.1", "fd00::1"), config.NAT{IPv4: true, IPv6: true}},
		{"NAT on one network", director("192.0.2.9/24", ipvs.Masquerade, "192.0.2.1", "192.0.2.2"), config.NAT{IPv4: true, OneArmed: []string{"eth0"}}},
		{"NAT on an address's own device", other, config.NAT{IPv4: true, OneArmed: []string{"eth1.5"}}},
		{"NAT between two networks", director("192.0.2.9/24", ipvs.Masquerade, "10.9.0.7"), config.NAT{IPv4: true}},
		{"NAT from a host address", director("192.0.2.9/32", ipvs.Masquerade, "192.0.2.9"), config.NAT{IPv4: true}},
	} {
		if diff := cmp.Diff(c.want, c.cfg.NAT()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}
