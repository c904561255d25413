package sysctl

// ForNAT are the kernel parameters that a director cannot do without, in the order to set them in, if it reaches real
// servers of a family by NAT, and some of them through the device that clients come in by:
//
//   - With NAT the real servers' replies are routed through the director: forwarding must be on.
//   - With NAT on one network the director would tell the real servers a shorter way to the clients, past itself, by
//     ICMP redirects: they must be off.
//   - Direct routing and tunnelling need nothing on the director.
func ForNAT(ipv4, ipv6 bool, oneArmed []string) []Setting {
	var out []Setting
	if ipv6 {
		out = append(out, Setting{
			Key: Conf("ipv6", "*", "accept_ra"), Value: "2", Accept: []string{"0"},
			Why: "with forwarding on, 1 ignores the routers' advertisements, and the default route goes away",
		}, Setting{
			Key: "net.ipv6.conf.all.forwarding", Value: "1", Disturbs: []string{Conf("ipv6", "*", "forwarding")},
			Why: "with NAT the real servers' replies are routed through the director",
		})
	}
	if ipv4 {
		out = append(out, Setting{
			Key: "net.ipv4.ip_forward", Value: "1",
			// inet_forward_change, net/ipv4/devinet.c
			Disturbs: []string{Conf("ipv4", "*", "forwarding"), Conf("ipv4", "all", "accept_redirects")},
			Why:      "with NAT the real servers' replies are routed through the director",
		})
	}
	// The kernel sends redirects if either value is on (IN_DEV_TX_REDIRECTS, include/linux/inetdevice.h).
	const why = "ICMP redirects would lead the real servers' replies past the director, straight to the clients"
	for i, iface := range oneArmed {
		if i == 0 {
			out = append(out, Setting{Key: Conf("ipv4", "all", "send_redirects"), Value: "0", Why: why})
		}
		out = append(out, Setting{Key: Conf("ipv4", iface, "send_redirects"), Value: "0", Why: why})
	}
	return out
}
