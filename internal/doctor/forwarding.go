package doctor

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/host"
	"github.com/lvs-ha/lvs-ha/internal/sysctl"
	"github.com/lvs-ha/lvs-ha/ipvs"
)

// forwardingParameters checks the kernel parameters that the configured forwarding requires.
func forwardingParameters(cfg *config.Config, o *Observed) []Finding {
	nat := cfg.NAT()
	wanted := sysctl.ForNAT(nat.IPv4, nat.IPv6, nat.OneArmed)
	if len(wanted) == 0 {
		return nil
	}
	var out []Finding
	for _, w := range wanted {
		for _, key := range matching(o, w.Key) {
			now, _ := o.sysctl(key)
			if w.Good(now) {
				continue
			}
			code, severity := parameterCode(key)
			if code == "accept-ra" && !o.advertisedDefault(key) {
				continue
			}
			f := Finding{Code: code, Severity: severity, Subject: key, What: fmt.Sprintf("%s is %s, should be %s", key, now, w.Value), Why: w.Why}
			if cfg.Sysctl.Manage && o.Running == nil {
				f.Severity, f.Remedy = Info, "none required: the daemon sets it at start"
			} else {
				f = f.set(key, w.Value)
			}
			out = append(out, f)
		}
	}
	if len(out) == 0 {
		out = append(out, ok("ip-forward", "kernel parameters for NAT are set"))
	}
	return out
}

// matching returns the observed parameters that match a key, in which * matches any one element.
func matching(o *Observed, pattern string) []string {
	want := strings.Split(pattern, ".")
	var out []string
	for _, key := range slices.Sorted(maps.Keys(o.Sysctls)) {
		if slices.EqualFunc(want, strings.Split(key, "."), func(w, part string) bool { return w == "*" || w == part }) {
			out = append(out, key)
		}
	}
	return out
}

func parameterCode(key string) (string, Severity) {
	switch {
	case strings.HasSuffix(key, ".accept_ra"):
		return "accept-ra", Warning
	case strings.HasSuffix(key, ".send_redirects"):
		return "send-redirects", Warning
	case strings.HasPrefix(key, "net.ipv6."):
		return "ipv6-forward", Error
	}
	return "ip-forward", Error
}

// advertisedDefault reports whether the device of an accept_ra parameter has a default route from a router advertisement.
func (o *Observed) advertisedDefault(key string) bool {
	return slices.ContainsFunc(o.Defaults, func(d host.Route) bool {
		return d.IPv6() && d.Advertised && sysctl.Conf("ipv6", d.Interface, "accept_ra") == key
	})
}

// deviceForwarding checks for interfaces on which forwarding is off although it is on globally.
func deviceForwarding(cfg *config.Config, o *Observed) []Finding {
	var out []Finding
	var seen []string
	for _, s := range byAddress(cfg, ipvs.Masquerade) {
		route, known := o.Routes[s.Address]
		family := "ipv4"
		if s.Address.Is6() {
			family = "ipv6"
		}
		key := sysctl.Conf(family, route.Interface, "forwarding")
		all, _ := o.sysctl(sysctl.Conf(family, "all", "forwarding"))
		now, exists := o.sysctl(key)
		if !known || !exists || all != "1" || now != "0" || slices.Contains(seen, key) {
			continue
		}
		seen = append(seen, key)
		out = append(out, Finding{Code: "device-forward", Severity: Error, Subject: route.Interface,
			What: fmt.Sprintf("forwarding is off on %s", route.Interface),
			Why:  "with NAT the real servers' replies arrive there and must be forwarded"}.set(key, "1"))
	}
	return out
}

// reversePath checks for interfaces on which the kernel drops clients' packets, since its route back to the clients uses
// another interface.
func reversePath(cfg *config.Config, o *Observed) []Finding {
	var out []Finding
	var seen []string
	for _, v := range virtuals(cfg) {
		if v.prefix.Addr().Is6() || slices.Contains(seen, v.iface) || o.effective(v.iface, "rp_filter") != 1 {
			continue
		}
		seen = append(seen, v.iface)
		elsewhere := slices.IndexFunc(o.Defaults, func(d host.Route) bool { return !d.IPv6() && d.Interface != v.iface })
		here := slices.ContainsFunc(o.Defaults, func(d host.Route) bool { return !d.IPv6() && d.Interface == v.iface })
		if elsewhere < 0 || here {
			continue
		}
		out = append(out, Finding{Code: "rp-filter", Severity: Warning, Subject: v.iface,
			What: fmt.Sprintf("%s drops packets from clients in other networks: rp_filter is 1 and the default route is via %s",
				v.iface, o.Defaults[elsewhere].Interface),
			Why: "clients of virtual address " + v.prefix.Addr().String() + " arrive there"}.set(sysctl.Conf("ipv4", v.iface, "rp_filter"), "2"))
	}
	return out
}

// connectionTracking checks for stateful packet filter rules, which do not match IPVS connections by default.
func connectionTracking(cfg *config.Config, o *Observed) []Finding {
	now, known := o.sysctl("net.ipv4.vs.conntrack")
	if !known || len(cfg.Services) == 0 || len(o.Firewall) == 0 {
		return nil
	}
	if now == "1" {
		return []Finding{ok("conntrack", "IPVS connections are tracked")}
	}
	r := o.Firewall[0]
	return []Finding{{Code: "conntrack", Severity: Warning, Subject: r.Tool,
		What: fmt.Sprintf("found %d stateful or NAT packet filter rules, the first: %s: %s", len(o.Firewall), r.Tool, r.Rule),
		Why:  "IPVS connections are not tracked by default: such rules treat their packets as invalid or do not match them",
		// Not a safe fix: it makes each packet more expensive.
		Remedy: "sysctl -w net.ipv4.vs.conntrack=1 # if the rules apply to balanced traffic"}}
}

// ethernetMTU is the assumed size of clients' packets in bytes.
const ethernetMTU = 1500

// tunnels checks the packets between the director and real servers behind a tunnel.
func tunnels(cfg *config.Config, o *Observed) []Finding {
	var out []Finding
	tunnelled := byAddress(cfg, ipvs.Tunnel)
	for _, s := range tunnelled {
		route, known := o.Routes[s.Address]
		if !known || route.Local {
			continue
		}
		if f, bad := tunnelSource(cfg, s, route); bad {
			out = append(out, f)
		}
		room := route.MTU - overhead(s)
		if wanted := clientMTU(cfg, o, s); route.MTU > 0 && room < wanted {
			out = append(out, Finding{Code: "tunnel-mtu", Severity: Info, Subject: s.Address.String(),
				What: fmt.Sprintf("the tunnel to %s carries packets of up to %d bytes, clients may send %d", s.Address, room, wanted),
				Why:  "the director reports larger packets as too big (ICMP); if a filter drops these reports, uploads stall",
				Remedy: fmt.Sprintf("ip link set dev %s mtu %d # and on the path to the real server; or on the real server: ip route change default via GATEWAY advmss %d",
					route.Interface, wanted+overhead(s), room-tcpHeaders(s.service.Address))})
		}
	}
	if len(out) == 0 && len(tunnelled) > 0 {
		out = append(out, ok("tunnel", "tunnel MTUs and source addresses are correct"))
	}
	return out
}

// tunnelSource checks whether outer packets have the virtual address as their source: the real server has that address
// too and drops packets from it.
func tunnelSource(cfg *config.Config, s server, route host.Route) (Finding, bool) {
	if !route.Source.IsValid() || !isVirtual(cfg, route.Interface, route.Source) {
		return Finding{}, false
	}
	return Finding{Code: "tunnel-source", Severity: Error, Subject: s.Address.String(),
		What: fmt.Sprintf("the tunnel to %s uses virtual address %s as its source", s.Address, route.Source),
		Why:  "the real server has that address too and drops packets from it",
		Remedy: fmt.Sprintf("configure the virtual address as %s/%d, and add another address to %s",
			route.Source, route.Source.BitLen(), route.Interface)}, true
}

// overhead returns the number of bytes that a tunnel adds: the outer IP header, UDP and GUE (RFC
// draft-ietf-intarea-gue, four bytes), GRE with its checksum (RFC 2784).
func overhead(s server) int {
	n := 20
	if s.Address.Is6() {
		n = 40
	}
	switch s.TunnelType {
	case ipvs.TunnelGUE:
		n += 8 + 4
		if s.TunnelFlags&ipvs.TunnelRemoteChecksum != 0 {
			n += 4 + 4 // private flags, and remote checksum offload's field
		}
	case ipvs.TunnelGRE:
		n += 4
		if s.TunnelFlags&ipvs.TunnelChecksum != 0 {
			n += 4
		}
	}
	return n
}

func tcpHeaders(a netip.Addr) int {
	if a.Is6() {
		return 40 + 20
	}
	return 20 + 20
}

// clientMTU returns the MTU of the interface with the service's address.
func clientMTU(cfg *config.Config, o *Observed, s server) int {
	for _, v := range virtuals(cfg) {
		if link, exists := o.link(v.iface); exists && v.prefix.Addr() == s.service.Address && link.MTU > 0 {
			return link.MTU
		}
	}
	return ethernetMTU
}
