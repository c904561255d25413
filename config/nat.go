package config

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/lvs-ha/lvs-ha/ipvs"
)

// NAT describes the host settings that forwarding by NAT requires.
type NAT struct {
	IPv4, IPv6 bool // real servers of the family are reached by NAT
	// OneArmed are the IPv4 devices through which both clients and such real servers send packets: those with a virtual
	// address whose network contains a real server of its service.
	OneArmed []string
}

// NAT returns the host settings that forwarding by NAT requires.
func (c *Config) NAT() NAT {
	var n NAT
	for _, s := range c.Services {
		prefix, iface, found := c.homeOf(s.Address)
		found = found && prefix.Addr().Is4() && !prefix.IsSingleIP() && !slices.Contains(n.OneArmed, iface)
		for _, d := range s.Discover {
			if d.Server.Forward == ipvs.Masquerade {
				n.IPv4, n.IPv6 = n.IPv4 || s.Family == ipvs.IPv4, n.IPv6 || s.Family == ipvs.IPv6
			}
		}
		for _, r := range s.RealServers {
			if r.Forward != ipvs.Masquerade {
				continue
			}
			n.IPv4, n.IPv6 = n.IPv4 || r.Address.Is4(), n.IPv6 || r.Address.Is6()
			if found && prefix.Contains(r.Address) {
				n.OneArmed, found = append(n.OneArmed, iface), false
			}
		}
	}
	return n
}

// homeOf returns the prefix of a virtual address, and its device.
func (c *Config) homeOf(a netip.Addr) (netip.Prefix, string, bool) {
	for _, v := range c.VRRP {
		for _, address := range v.Addresses {
			if address.Prefix.Addr() == a {
				return address.Prefix, cmp.Or(address.Interface, v.Interface), true
			}
		}
	}
	return netip.Prefix{}, "", false
}
