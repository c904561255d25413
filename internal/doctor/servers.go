package doctor

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/ipvs"
)

// serverRoutes checks the route to each real server.
func serverRoutes(cfg *config.Config, o *Observed) []Finding {
	var out []Finding
	all := byAddress(cfg, ipvs.DirectRoute, ipvs.Tunnel, ipvs.Masquerade)
	for _, s := range all {
		route, known := o.Routes[s.Address]
		reason, unreachable := o.Unreachable[s.Address]
		switch {
		case unreachable:
			out = append(out, Finding{Code: "server-no-route", Severity: Error, Subject: s.Address.String(),
				What: fmt.Sprintf("no route to real server %s: %s", s.Address, reason),
				Why:  "health checks and traffic use that route", Remedy: "ip route add " + s.Address.String() + " via GATEWAY # or add an address in its network to this host"})
		case !known, route.Local:
		case o.Neighbors[s.Address]:
			out = append(out, Finding{Code: "server-silent", Severity: Warning, Subject: s.Address.String(),
				What: fmt.Sprintf("real server %s does not answer ARP or neighbour discovery on %s", s.Address, route.Interface),
				Why:  "it is off, it is in another network, or its address is wrong", Remedy: neighborRemedy(s.Address, route.Interface)})
		}
	}
	for _, s := range byAddress(cfg, ipvs.DirectRoute) {
		if route := o.Routes[s.Address]; route.Gateway.IsValid() {
			out = append(out, Finding{Code: "dr-not-on-link", Severity: Error, Subject: s.Address.String(),
				What:   fmt.Sprintf("real server %s is behind router %s", s.Address, route.Gateway),
				Why:    "direct routing changes only the MAC address: the router sends the packet back to the virtual address",
				Remedy: `connect director and real server to the same network, or use forwarding = "tun"`})
		}
	}
	if len(out) == 0 && len(all) > 0 {
		out = append(out, ok("server-route", "all real servers have a route"))
	}
	return out
}

func neighborRemedy(a netip.Addr, iface string) string {
	if a.Is6() {
		return fmt.Sprintf("ping -c 3 -I %s %s; ip -6 neigh show %s", iface, a, a)
	}
	return fmt.Sprintf("arping -c 3 -I %s %s", iface, a)
}

// natWayBack checks whether real servers' replies can return through the director, as far as this host can determine.
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
				What: fmt.Sprintf("real server %s is behind router %s", s.Address, route.Gateway),
				Why:  "its replies must return through this director; the router's routes cannot be checked from here"})
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

// networkOf returns the network of this host that contains an address.
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
			What: fmt.Sprintf("real servers in %s must use this director as their default gateway: %v", network, own),
			Why:  "with NAT their replies must return through it; `lvs-ha realserver status --mode nat` checks this on a real server"})
	case len(gateways) == 0:
		out = append(out, Finding{Code: "nat-gateway", Severity: Warning, Subject: network.String(),
			What:   fmt.Sprintf("no virtual address in %s, the network of real servers", network),
			Why:    "their default gateway must move to the active director; a director's own address does not",
			Remedy: fmt.Sprintf("add an address in %s on %s to the vrrp block, and use it as the real servers' default gateway", network, iface)})
	default:
		out = append(out, ok("nat-gateway", "real servers in %s can use a virtual address as their gateway: %v", network, gateways))
	}
	if slices.ContainsFunc(cfg.Services, func(s config.VirtualService) bool {
		return network.Contains(s.Address) && slices.ContainsFunc(s.RealServers, func(r config.RealServer) bool {
			return r.Forward == ipvs.Masquerade && network.Contains(r.Address)
		})
	}) {
		out = append(out, Finding{Code: "nat-one-network", Severity: Info, Subject: network.String(),
			What: fmt.Sprintf("virtual address and real servers are in the same network, %s", network),
			Why:  "clients in that network receive replies directly from the real server and drop them; other clients are not affected"})
	}
	return out
}

// gatewaysIn returns the virtual addresses in a network.
func gatewaysIn(cfg *config.Config, network netip.Prefix) []string {
	var out []string
	for _, v := range virtuals(cfg) {
		if network.Contains(v.prefix.Addr()) {
			out = append(out, v.prefix.Addr().String())
		}
	}
	return out
}

// serverProbes reports the results of the configured health checks, each run once.
func serverProbes(_ *config.Config, o *Observed) []Finding {
	var out []Finding
	for _, p := range o.Probes {
		f := Finding{Code: "check-failed", Severity: Warning, Subject: p.Endpoint.String(),
			What: fmt.Sprintf("%s check of %s: %s", p.Kind, p.Endpoint, p.Detail),
			Why:  "a real server receives no traffic until its checks pass"}
		switch {
		case p.OK:
			continue
		case p.Local:
			f.Code, f.Why = "check-impossible", "this host cannot run the check"
		case p.Assumed:
			f.What = fmt.Sprintf("cannot connect to %s: %s", p.Endpoint, p.Detail)
			f.Why, f.Remedy = "it has no health check and receives traffic regardless", "add a health_check block to its service"
		}
		out = append(out, f)
	}
	if len(out) == 0 && len(o.Probes) > 0 {
		out = append(out, ok("check", "all health checks pass"))
	}
	return out
}
