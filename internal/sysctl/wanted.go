package sysctl

// ForNAT returns the kernel parameters that a director requires for real servers with NAT, in the order in which they must
// be set. oneArmed are the devices on which both clients and such real servers are.
//
//   - With NAT, the director routes the real servers' replies: forwarding must be on.
//   - With NAT on one network, the director would send ICMP redirects, with which the real servers reply to the clients
//     directly: they must be off.
//   - Direct routing and tunnelling require nothing on the director.
func ForNAT(ipv4, ipv6 bool, oneArmed []string) []Setting {
	var out []Setting
	if ipv6 {
		out = append(out, Setting{
			Key: Conf("ipv6", "*", "accept_ra"), Value: "2", Accept: []string{"0"},
			Why: "with forwarding on, the value 1 ignores router advertisements, and the default route expires",
		}, Setting{
			Key: "net.ipv6.conf.all.forwarding", Value: "1", Disturbs: []string{Conf("ipv6", "*", "forwarding")},
			Why: "with NAT, the director routes the real servers' replies",
		})
	}
	if ipv4 {
		out = append(out, Setting{
			Key: "net.ipv4.ip_forward", Value: "1",
			// inet_forward_change, net/ipv4/devinet.c
			Disturbs: []string{Conf("ipv4", "*", "forwarding"), Conf("ipv4", "all", "accept_redirects")},
			Why:      "with NAT, the director routes the real servers' replies",
		})
	}
	// The kernel sends redirects if either value is on (IN_DEV_TX_REDIRECTS, include/linux/inetdevice.h).
	const why = "after an ICMP redirect, the real servers send their replies directly to the clients, which drop them"
	for i, iface := range oneArmed {
		if i == 0 {
			out = append(out, Setting{Key: Conf("ipv4", "all", "send_redirects"), Value: "0", Why: why})
		}
		out = append(out, Setting{Key: Conf("ipv4", iface, "send_redirects"), Value: "0", Why: why})
	}
	return out
}
