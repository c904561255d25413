package doctor

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// owned is a route with the block that it is written in.
type owned struct {
	by    string
	route vrrp.Route
}

func configuredRoutes(cfg *config.Config) []owned {
	var out []owned
	for _, v := range cfg.VRRP {
		for _, r := range v.Routes {
			out = append(out, owned{fmt.Sprintf("vrrp %q, route %q", v.Name, r.Destination), r})
		}
	}
	for _, r := range cfg.Static.Routes {
		out = append(out, owned{fmt.Sprintf("static_route %q", r.Destination), r})
	}
	return out
}

// hops returns the route's gateways.
func hops(r vrrp.Route) []vrrp.NextHop {
	return append([]vrrp.NextHop{{Via: r.Via, Interface: r.Interface, OnLink: r.OnLink}}, r.NextHops...)
}

// gateways checks that each gateway is in a network of this host, as it is while it has the virtual addresses.
func gateways(cfg *config.Config, o *Observed) []Finding {
	var networks []netip.Prefix
	for _, a := range o.Addresses {
		networks = append(networks, a.Prefix.Masked())
	}
	for _, v := range virtuals(cfg) {
		networks = append(networks, v.prefix.Masked())
	}
	for _, a := range cfg.Static.Addresses {
		networks = append(networks, a.Prefix.Masked())
	}
	all := configuredRoutes(cfg)
	for _, c := range all {
		if r := c.route; !r.Via.IsValid() && len(r.NextHops) == 0 && r.Interface != "" {
			networks = append(networks, r.Destination)
		}
	}
	var out []Finding
	for _, c := range all {
		for _, h := range hops(c.route) {
			if !h.Via.IsValid() || h.OnLink || h.Via.IsLinkLocalUnicast() || slices.ContainsFunc(networks, func(n netip.Prefix) bool { return n.Bits() > 0 && n.Contains(h.Via) }) {
				continue
			}
			out = append(out, Finding{Code: "gateway-outside", Severity: Error, Subject: h.Via.String(),
				What: fmt.Sprintf("the gateway %s is in no network of this host (%s)", h.Via, c.by), Why: "the kernel refuses the route",
				Remedy: "correct via, or set interface and onlink = true"})
		}
	}
	if len(out) == 0 && len(all) > 0 {
		out = append(out, ok("gateway", "gateways of routes are in networks of this host"))
	}
	return out
}
