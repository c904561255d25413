package sysctl

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/ipvs"
)

// Wanted are the kernel parameters that a director's configuration cannot do without, in the order to set them in.
// They depend on how packets are forwarded:
//
//   - With NAT the real servers' replies are routed through the director: forwarding must be on.
//   - With NAT on one network the director would tell the real servers a shorter way to the clients, past itself, by
//     ICMP redirects: they must be off.
//   - Direct routing and tunnelling need nothing on the director.
func Wanted(cfg *config.Config) []Setting {
	var out []Setting
	if forwards(cfg, netip.Addr.Is6) {
		out = append(out, Setting{
			Key: Conf("ipv6", "*", "accept_ra"), Value: "2", Accept: []string{"0"},
			Why: "with forwarding on, 1 ignores the routers' advertisements, and the default route goes away",
		}, Setting{
			Key: "net.ipv6.conf.all.forwarding", Value: "1", Disturbs: []string{Conf("ipv6", "*", "forwarding")},
			Why: "with NAT the real servers' replies are routed through the director",
		})
	}
	if forwards(cfg, netip.Addr.Is4) {
		out = append(out, Setting{
			Key: "net.ipv4.ip_forward", Value: "1",
			// inet_forward_change, net/ipv4/devinet.c
			Disturbs: []string{Conf("ipv4", "*", "forwarding"), Conf("ipv4", "all", "accept_redirects")},
			Why:      "with NAT the real servers' replies are routed through the director",
		})
	}
	// The kernel sends redirects if either value is on (IN_DEV_TX_REDIRECTS, include/linux/inetdevice.h).
	const why = "ICMP redirects would lead the real servers' replies past the director, straight to the clients"
	for i, iface := range oneArmed(cfg) {
		if i == 0 {
			out = append(out, Setting{Key: Conf("ipv4", "all", "send_redirects"), Value: "0", Why: why})
		}
		out = append(out, Setting{Key: Conf("ipv4", iface, "send_redirects"), Value: "0", Why: why})
	}
	return out
}

// forwards reports whether real servers of a family are reached by NAT.
func forwards(cfg *config.Config, family func(netip.Addr) bool) bool {
	for r := range natServers(cfg) {
		if family(r) {
			return true
		}
	}
	return false
}

func natServers(cfg *config.Config) func(func(netip.Addr) bool) {
	return func(yield func(netip.Addr) bool) {
		for _, s := range cfg.Services {
			for _, r := range s.RealServers {
				if r.Forward == ipvs.Masquerade && !yield(r.Address) {
					return
				}
			}
		}
	}
}

// oneArmed are the devices where both clients and real servers come in: those of a virtual address in whose network
// there is a real server of its service that is reached by NAT.
func oneArmed(cfg *config.Config) []string {
	var out []string
	for _, s := range cfg.Services {
		prefix, iface, found := homeOf(cfg, s.Address)
		if !found || !prefix.Addr().Is4() || prefix.IsSingleIP() || slices.Contains(out, iface) {
			continue
		}
		if slices.ContainsFunc(s.RealServers, func(r config.RealServer) bool {
			return r.Forward == ipvs.Masquerade && prefix.Contains(r.Address)
		}) {
			out = append(out, iface)
		}
	}
	return out
}

// homeOf is the prefix of a virtual address, and the device that it is on.
func homeOf(cfg *config.Config, a netip.Addr) (netip.Prefix, string, bool) {
	for _, v := range cfg.VRRP {
		for _, address := range v.Addresses {
			if address.Prefix.Addr() == a {
				return address.Prefix, cmp.Or(address.Interface, v.Interface), true
			}
		}
	}
	return netip.Prefix{}, "", false
}
