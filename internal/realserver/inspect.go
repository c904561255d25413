package realserver

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/lvs-ha/lvs-ha/internal/host"
	"github.com/lvs-ha/lvs-ha/internal/sysctl"
)

// Status is the result of all checks.
type Status struct {
	OK     bool    `json:"ok"`
	Checks []Check `json:"checks"`
}

// Check is the result of one check.
type Check struct {
	Code   string `json:"code"` // stable: for scripts
	OK     bool   `json:"ok"`
	What   string `json:"what"`
	Why    string `json:"why,omitempty"`    // consequence of the problem
	Remedy string `json:"remedy,omitempty"` // command that fixes it
}

// The codes of checks.
const (
	CodeAddress      = "address"
	CodeElsewhere    = "address-elsewhere"
	CodeHostRoute    = "host-route"
	CodeDevice       = "device"
	CodeGUE          = "gue-port"
	CodeARPIgnore    = "arp-ignore"
	CodeARPAnnounce  = "arp-announce"
	CodeReversePath  = "reverse-path"
	CodeNeighbor     = "neighbor-proxy"
	CodeIPv6Disabled = "ipv6-disabled"
	CodeGateway      = "gateway"
	CodeListener     = "listener"
)

// Inspect compares the wanted state with the observed one.
func Inspect(w Wanted, o Observed) Status {
	places := w.placements()
	checks := slices.Concat(
		inspectConflicts(w, o, places),
		inspectDevices(places, o),
		inspectARP(places, o), // before addresses: running the remedies in order must not answer ARP in between
		inspectAddresses(places, o),
		inspectNeighbors(places, o),
		inspectGateway(w, o),
		inspectListeners(w, o),
	)
	return Status{OK: !slices.ContainsFunc(checks, func(c Check) bool { return !c.OK }), Checks: checks}
}

func inspectConflicts(w Wanted, o Observed, places []placed) []Check {
	var out []Check
	for _, v := range w.VIPs {
		for _, h := range o.entries(v.Address) {
			if problem := o.misplaced(v, h, places); problem != "" {
				out = append(out, Check{Code: CodeElsewhere, What: fmt.Sprintf("%s: %s", v.Address, problem), Remedy: o.removal(h)})
			}
		}
	}
	return out
}

func inspectDevices(places []placed, o Observed) []Check {
	var out []Check
	var seen []device
	for _, p := range places {
		d := p.device
		if slices.Contains(seen, d) {
			continue
		}
		seen = append(seen, d)
		link, exists := o.link(d.name)
		c := Check{Code: CodeDevice, OK: exists && link.Up && (!d.any || link.Any), What: d.name + " is up"}
		var steps []Step
		switch {
		case !exists:
			c.What = d.name + " does not exist"
			if d.module != "" {
				steps = append(steps, Step{Action: LoadModule, Module: d.module})
			}
			steps = append(steps, Step{Action: SetUp, Interface: d.name})
		case !link.Up:
			c.What = d.name + " is down"
			steps = append(steps, Step{Action: SetUp, Interface: d.name})
		}
		if exists && d.any && !link.Any {
			c.What += ", but does not accept IPv4 packets"
			steps = append(steps, Step{Action: TakeAny, Interface: d.name})
		}
		if !c.OK {
			c.Why, c.Remedy = "packets from the director are not accepted", describe(steps)
			if !exists && d.module == "" {
				c.Remedy = fmt.Sprintf("%s; %s # if it should be a dummy device", dummy(d.name), c.Remedy)
			}
		}
		out = append(out, c)
		if d.port != 0 {
			s := Step{Action: AddFOU, IPv6: !d.outer4, Port: d.port}
			g := Check{Code: CodeGUE, OK: s.done(o), What: fmt.Sprintf("the kernel decapsulates GUE at port %d", d.port)}
			if !g.OK {
				g.What = fmt.Sprintf("the kernel does not decapsulate GUE at port %d", d.port)
				g.Why, g.Remedy = "packets from the director are not accepted", s.Command()
				if o.FOU == nil {
					g.Remedy = describe([]Step{{Action: LoadModule, Module: "fou"}, s})
				}
			}
			out = append(out, g)
		}
	}
	return out
}

func inspectAddresses(places []placed, o Observed) []Check {
	var out []Check
	for _, p := range places {
		add := Step{Action: AddAddress, Interface: p.device.name, Address: p.address}
		c := Check{Code: CodeAddress, OK: add.done(o), What: fmt.Sprintf("%s is on %s", HostPrefix(p.address), p.device.name)}
		if !c.OK {
			c.What = fmt.Sprintf("%s is not on %s", HostPrefix(p.address), p.device.name)
			c.Why, c.Remedy = "packets for it are not delivered locally: they are dropped or forwarded", add.Command()
		}
		out = append(out, c)
		if !p.address.Is4() {
			continue
		}
		route := Step{Action: AddRoute, Interface: p.device.name, Address: p.address}
		r := Check{Code: CodeHostRoute, OK: route.done(o), What: fmt.Sprintf("the host route to %s leads to %s", p.address, p.device.name)}
		if !r.OK {
			r.What = fmt.Sprintf("no host route to %s through %s", p.address, p.device.name)
			r.Why, r.Remedy = "without it, packets for the address would be sent back out when the address is removed", route.Command()
		}
		out = append(out, r)
	}
	return out
}

// inspectARP checks the effective values on every device.
func inspectARP(places []placed, o Observed) []Check {
	ipv4 := slices.ContainsFunc(places, func(p placed) bool { return p.address.Is4() })
	if !ipv4 {
		return nil
	}
	out := slices.Concat(
		inspectEverywhere(o, CodeARPIgnore, "arp_ignore", arpIgnore,
			"no device answers ARP for another device's address", "this host answers ARP for the virtual addresses and diverts their traffic from the director"),
		inspectEverywhere(o, CodeARPAnnounce, "arp_announce", arpAnnounce,
			"no ARP request has another device's address as its sender", "ARP requests have a virtual address as their sender, and neighbours learn it from them"),
	)
	var seen []string
	for _, p := range places {
		name := p.device.name
		_, exists := o.link(name)
		if !p.address.Is4() || p.device.module == "" || !exists || slices.Contains(seen, name) {
			continue
		}
		seen = append(seen, name)
		now := o.effective(name, "rp_filter")
		c := Check{Code: CodeReversePath, OK: now != "" && now != "1", What: fmt.Sprintf("%s accepts packets from remote clients", name)}
		if !c.OK {
			c.What = fmt.Sprintf("%s drops packets from remote clients: its rp_filter is %s", name, orNothing(now))
			c.Why, c.Remedy = "the route back to a client never leads through the tunnel", looseSource(name).Command()
		}
		out = append(out, c)
	}
	return out
}

func inspectEverywhere(o Observed, code, name string, setting func(string) sysctl.Setting, right, why string) []Check {
	var out []Check
	for _, l := range o.Links {
		now, own := o.effective(l.Name, name), o.Sysctls[conf(l.Name, name)]
		if l.Loopback || l.NoARP || setting(everywhere).Good(now) {
			continue
		}
		remedy := setting(everywhere).Command()
		if s := setting(l.Name); sysctl.Greater(own, s.Value) {
			remedy = s.Command() // it overrides the value for all
		}
		if slices.ContainsFunc(out, func(c Check) bool { return c.Remedy == remedy }) {
			continue
		}
		out = append(out, Check{Code: code, What: fmt.Sprintf("%s is %s on %s", name, orNothing(now), l.Name), Why: why, Remedy: remedy})
	}
	if len(out) == 0 {
		out = append(out, Check{Code: code, OK: true, What: fmt.Sprintf("%s: %s", name, right)})
	}
	return out
}

func orNothing(value string) string {
	if value == "" {
		return "not set"
	}
	return value
}

// inspectNeighbors needs no kernel parameter: IPv6 answers neighbour solicitations only for addresses of the receiving
// device (ndisc_recv_ns, net/ipv6/ndisc.c), unless the host is a proxy for the address.
func inspectNeighbors(places []placed, o Observed) []Check {
	var out []Check
	for _, p := range places {
		if !p.address.Is6() {
			continue
		}
		if key := sysctl.Conf("ipv6", p.device.name, "disable_ipv6"); o.Sysctls[key] == "1" {
			out = append(out, Check{Code: CodeIPv6Disabled, What: "IPv6 is disabled on " + p.device.name,
				Why: p.address.String() + " cannot be set there", Remedy: sysctl.Command(key, "0")})
		}
		i := slices.IndexFunc(o.Proxied, func(q Proxy) bool { return q.Address == p.address })
		c := Check{Code: CodeNeighbor, OK: i < 0, What: fmt.Sprintf("no device answers neighbour solicitations for %s", p.address)}
		if !c.OK {
			c.What = fmt.Sprintf("this host is a neighbour discovery proxy for %s", p.address)
			c.Why = "it answers for the address and diverts its traffic from the director"
			c.Remedy = fmt.Sprintf("ip -6 neigh del proxy %s dev %s", p.address, o.Proxied[i].Interface)
		}
		out = append(out, c)
	}
	return out
}

func inspectGateway(w Wanted, o Observed) []Check {
	var out []Check
	for _, ipv6 := range []bool{false, true} {
		wanted := slices.ContainsFunc(w.VIPs, func(v VIP) bool { return v.Mode == NAT && v.Address.Is6() == ipv6 })
		if wanted {
			out = append(out, gatewayCheck(ipv6, w.Directors, o))
		}
	}
	return out
}

func gatewayCheck(ipv6 bool, directors []netip.Addr, o Observed) Check {
	directors = slices.DeleteFunc(slices.Clone(directors), func(a netip.Addr) bool { return a.Is6() != ipv6 })
	c := Check{Code: CodeGateway}
	why := "replies that bypass the director keep the real server's address, and clients drop them"
	flag, through := "-4", "DIRECTOR"
	if ipv6 {
		flag = "-6"
	}
	if len(directors) > 0 {
		through = directors[max(0, slices.IndexFunc(directors, o.onLink))].String()
	}
	route, exists := o.defaultRoute(ipv6)
	switch {
	case !exists:
		c.What, c.Why = "no default route", why
	case slices.Contains(directors, route.Gateway):
		c.OK, c.What = true, fmt.Sprintf("the default route leads through the director %s", route.Gateway)
	case len(directors) == 0 && route.Gateway.IsValid():
		c.OK, c.What = true, fmt.Sprintf("the default route leads through %s; use --director to check that this is the director", route.Gateway)
	case !route.Gateway.IsValid():
		c.What, c.Why = fmt.Sprintf("the default route has no gateway: it leads directly to %s", route.Interface), why
	default:
		c.What, c.Why = fmt.Sprintf("the default route leads through %s, which is not the director %s", route.Gateway, joined(directors)), why
	}
	if !c.OK {
		c.Remedy = fmt.Sprintf("ip %s route replace default via %s", flag, through)
	}
	return c
}

// onLink reports whether an address is in a directly connected network, as a gateway must be.
func (o Observed) onLink(a netip.Addr) bool {
	return slices.ContainsFunc(o.Addresses, func(own host.Address) bool { return own.Prefix.Contains(a) && own.Prefix.Addr() != a })
}

func joined(addresses []netip.Addr) string {
	var out []string
	for _, a := range addresses {
		out = append(out, a.String())
	}
	return strings.Join(out, " or ")
}

func inspectListeners(w Wanted, o Observed) []Check {
	var out []Check
	for _, l := range w.Listeners {
		c := Check{Code: CodeListener, OK: slices.ContainsFunc(o.Sockets, l.servedBy), What: fmt.Sprintf("something listens on %s %s", l.Network, l.Address)}
		if !c.OK {
			c.What = fmt.Sprintf("nothing listens on %s %s", l.Network, l.Address)
			c.Why = "connections through the director are refused"
			c.Remedy = fmt.Sprintf("make the server listen on %s or on all addresses", l.Address.Addr())
		}
		out = append(out, c)
	}
	return out
}

func (l Listener) servedBy(s Listener) bool {
	if s.Network != l.Network || s.Address.Port() != l.Address.Port() {
		return false
	}
	a := s.Address.Addr()
	// A socket bound to all IPv6 addresses also accepts IPv4, unless IPV6_V6ONLY is set.
	return a == l.Address.Addr() || a.IsUnspecified() && (a.Is6() || l.Address.Addr().Is4())
}
