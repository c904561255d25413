package doctor

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/ipvs"
)

// serverRoutes looks at the way to each real server.
func serverRoutes(cfg *config.Config, o *Observed) []Finding {
	var out []Finding
	all := byAddress(cfg, ipvs.DirectRoute, ipvs.Tunnel, ipvs.Masquerade)
	for _, s := range all {
		route, known := o.Routes[s.Address]
		reason, unreachable := o.Unreachable[s.Address]
		switch {
		case unreachable:
			out = append(out, Finding{Code: "server-no-route", Severity: Error, Subject: s.Address.String(),
				What: fmt.Sprintf("there is no way to the real server %s: %s", s.Address, reason),
				Why:  "it is checked and balanced to by that way", Mend: "ip route add " + s.Address.String() + " via GATEWAY # or give this machine an address in its network"})
		case !known, route.Local:
		case o.Neighbors[s.Address]:
			out = append(out, Finding{Code: "server-silent", Severity: Warning, Subject: s.Address.String(),
				What: fmt.Sprintf("the real server %s does not answer on %s", s.Address, route.Interface),
				Why:  "it is switched off, in another network, or its address is wrong", Mend: neighborMend(s.Address, route.Interface)})
		}
	}
	for _, s := range byAddress(cfg, ipvs.DirectRoute) {
		if route := o.Routes[s.Address]; route.Gateway.IsValid() {
			out = append(out, Finding{Code: "dr-not-on-link", Severity: Error, Subject: s.Address.String(),
				What: fmt.Sprintf("the real server %s is behind the router %s", s.Address, route.Gateway),
				Why:  "direct routing changes only the hardware address: the router sends the packet back to the virtual address",
				Mend: `put director and real server on one network, or write forwarding = "tun"`})
		}
	}
	if len(out) == 0 && len(all) > 0 {
		out = append(out, ok("server-route", "there is a way to every real server"))
	}
	return out
}

func neighborMend(a netip.Addr, iface string) string {
	if a.Is6() {
		return fmt.Sprintf("ping -c 3 -I %s %s; ip -6 neigh show %s", iface, a, a)
	}
	return fmt.Sprintf("arping -c 3 -I %s %s", iface, a)
}

// natWayBack looks whether real servers' replies can come back through the director, as far as that shows from here.
func natWayBack(cfg *config.Config, o *Observed) []Finding {
	var out []Finding
	var seen []netip.Prefix
	for _, s := range byAddress(cfg, ipvs.Masquerade) {
		route, known := o.Routes[s.Address]
		if !known || route.Local {
			continue
		}
		if route.Gateway.IsValid() {
			out = append(out, Finding{Code: "nat-behind-router", Severity: Info, Subject: s.Address.String(),
				What: fmt.Sprintf("the real server %s is behind the router %s", s.Address, route.Gateway),
				Why:  "its replies must come back through this director; whether the router sends them here cannot be seen"})
			continue
		}
		network, found := o.networkOf(s.Address, route.Interface)
		if !found || slices.Contains(seen, network) {
			continue
		}
		seen = append(seen, network)
		out = append(out, natNetwork(cfg, o, network, route.Interface)...)
	}
	return out
}

// networkOf is this machine's network that an address is in.
func (o *Observed) networkOf(a netip.Addr, iface string) (netip.Prefix, bool) {
	for _, n := range o.networks(iface, a.Is6()) {
		if n.Contains(a) {
			return n, true
		}
	}
	return netip.Prefix{}, false
}

func natNetwork(cfg *config.Config, o *Observed, network netip.Prefix, iface string) []Finding {
	var out []Finding
	gateways := gatewaysIn(cfg, network)
	switch {
	case len(cfg.VRRP) == 0:
		var own []string
		for _, a := range o.Addresses {
			if a.Interface == iface && network.Contains(a.Prefix.Addr()) {
				own = append(own, a.Prefix.Addr().String())
			}
		}
		out = append(out, Finding{Code: "nat-gateway", Severity: Info, Subject: network.String(),
			What: fmt.Sprintf("real servers in %s need their default route through this director: %v", network, own),
			Why:  "with NAT their replies must come back through it; `lvs-ha realserver status --mode nat` looks at that there"})
	case len(gateways) == 0:
		out = append(out, Finding{Code: "nat-gateway", Severity: Warning, Subject: network.String(),
			What: fmt.Sprintf("no virtual address in %s, where real servers are", network),
			Why:  "their default route must lead through whichever director is active; to a director's own address it does not follow a failover",
			Mend: fmt.Sprintf("add an address of %s on %s to the vrrp block, and make it the real servers' gateway", network, iface)})
	default:
		out = append(out, ok("nat-gateway", "real servers in %s have a gateway that moves with the director: %v", network, gateways))
	}
	if slices.ContainsFunc(cfg.Services, func(s config.VirtualService) bool {
		return network.Contains(s.Address) && slices.ContainsFunc(s.RealServers, func(r config.RealServer) bool {
			return r.Forward == ipvs.Masquerade && network.Contains(r.Address)
		})
	}) {
		out = append(out, Finding{Code: "nat-one-network", Severity: Info, Subject: network.String(),
			What: fmt.Sprintf("virtual address and real servers are both in %s", network),
			Why:  "clients in the same network get replies straight from the real server, and drop them; clients elsewhere are served"})
	}
	return out
}

// gatewaysIn are the virtual addresses in a network.
func gatewaysIn(cfg *config.Config, network netip.Prefix) []string {
	var out []string
	for _, v := range virtuals(cfg) {
		if network.Contains(v.prefix.Addr()) {
			out = append(out, v.prefix.Addr().String())
		}
	}
	return out
}

// serverProbes are the outcomes of the configured health checks, each made once.
func serverProbes(_ *config.Config, o *Observed) []Finding {
	var out []Finding
	for _, p := range o.Probes {
		f := Finding{Code: "check-failed", Severity: Warning, Subject: p.Endpoint.String(),
			What: fmt.Sprintf("%s check of %s: %s", p.Kind, p.Endpoint, p.Detail),
			Why:  "a real server gets no traffic until its checks are good"}
		switch {
		case p.OK:
			continue
		case p.Local:
			f.Code, f.Why = "check-impossible", "checks cannot be made from this machine as it is"
		case p.Assumed:
			f.What = fmt.Sprintf("%s cannot be connected to: %s", p.Endpoint, p.Detail)
			f.Why, f.Mend = "no check is configured for this real server: it gets traffic all the same", "add a health_check block to its service"
		}
		out = append(out, f)
	}
	if len(out) == 0 && len(o.Probes) > 0 {
		out = append(out, ok("check", "every health check is good"))
	}
	return out
}
