package realserver

import (
	"net/netip"
	"slices"

	"github.com/lvs-ha/lvs-ha/internal/host"
	"github.com/lvs-ha/lvs-ha/internal/sysctl"
)

// Observed is what there is on this machine, as far as a real server is concerned.
type Observed struct {
	Links     host.Links
	Addresses []host.Address
	Routes    []host.Route // to a single host, and default routes, best first
	Proxied   []Proxy
	FOU       []FOU
	Sockets   []Listener        // where something listens; an unspecified address is any
	Sysctls   map[string]string // those of Keys that the kernel has
}

// Proxy is an address that neighbour discovery answers for on a device, though the machine does not have it there.
type Proxy struct {
	Interface string
	Address   netip.Addr
}

// FOU is a UDP port where the kernel unwraps GUE.
type FOU struct {
	IPv6 bool
	Port uint16
}

func (o Observed) link(name string) (host.Link, bool) {
	return o.Links.Find(name)
}

// holders are the addresses that are this one, whatever their mask.
func (o Observed) holders(a netip.Addr) []host.Address {
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

// defaultRoute is the one that the kernel uses.
func (o Observed) defaultRoute(ipv6 bool) (host.Route, bool) {
	i := slices.IndexFunc(o.Routes, func(r host.Route) bool { return r.Default() && r.IPv6() == ipv6 })
	if i < 0 {
		return host.Route{}, false
	}
	return o.Routes[i], true
}

// effective is what the kernel goes by for arp_ignore, arp_announce and rp_filter on a device.
func (o Observed) effective(iface, name string) string {
	return sysctl.Effective(o.Sysctls, iface, name)
}
