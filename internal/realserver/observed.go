package realserver

import (
	"net/netip"
	"slices"

	"github.com/lvs-ha/lvs-ha/internal/host"
	"github.com/lvs-ha/lvs-ha/internal/sysctl"
)

// Observed is the part of the host's state that matters for a real server.
type Observed struct {
	Links     host.Links
	Addresses []host.Address
	Routes    []host.Route // host routes and default routes, best first
	Proxied   []Proxy
	FOU       []FOU
	Sockets   []Listener        // listening sockets; an unspecified address means any
	Sysctls   map[string]string // by name; parameters that do not exist are absent
}

// Proxy is an address for which the host is a neighbour discovery proxy on a device.
type Proxy struct {
	Interface string
	Address   netip.Addr
}

// FOU is a UDP port where the kernel decapsulates GUE.
type FOU struct {
	IPv6 bool
	Port uint16
}

func (o Observed) link(name string) (host.Link, bool) {
	return o.Links.Find(name)
}

// entries returns the host's entries for an address, with any mask.
func (o Observed) entries(a netip.Addr) []host.Address {
	var out []host.Address
	for _, h := range o.Addresses {
		if h.Prefix.Addr() == a {
			out = append(out, h)
		}
	}
	return out
}

func (o Observed) has(a host.Address) bool { return slices.Contains(o.Addresses, a) }

// routed reports whether there is a host route to the address through the device.
func (o Observed) routed(iface string, a netip.Addr) bool {
	return slices.ContainsFunc(o.Routes, func(r host.Route) bool { return r.Interface == iface && r.Destination == HostPrefix(a) })
}

// defaultRoute returns the preferred default route.
func (o Observed) defaultRoute(ipv6 bool) (host.Route, bool) {
	i := slices.IndexFunc(o.Routes, func(r host.Route) bool { return r.Default() && r.IPv6() == ipv6 })
	if i < 0 {
		return host.Route{}, false
	}
	return o.Routes[i], true
}

// effective returns the effective value of arp_ignore, arp_announce or rp_filter on a device.
func (o Observed) effective(iface, name string) string {
	return sysctl.Effective(o.Sysctls, iface, name)
}
