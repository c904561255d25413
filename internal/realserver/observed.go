package realserver

import (
	"net/netip"
	"slices"

	"github.com/lvs-ha/lvs-ha/internal/sysctl"
)

// Observed is what there is on this machine, as far as a real server is concerned.
type Observed struct {
	Links     []Link            `json:"links"`
	Addresses []Address         `json:"addresses"`
	Routes    []Route           `json:"routes"`   // to a single host, in the main table
	Defaults  []Default         `json:"defaults"` // default routes, best first
	Proxied   []Proxy           `json:"proxied"`
	FOU       []FOU             `json:"fou"`
	Sockets   []Listener        `json:"sockets"` // where something listens; an unspecified address is any
	Sysctls   map[string]string `json:"sysctls"` // those of Keys that the kernel has
}

// Link is a network device.
type Link struct {
	Name     string `json:"name"`
	Up       bool   `json:"up"`
	Loopback bool   `json:"loopback"`
	NoARP    bool   `json:"noarp"`         // asks and answers nothing by ARP or neighbour discovery
	Any      bool   `json:"any,omitempty"` // an IPv6 tunnel that takes IPv4 as well
}

// Address is an address on a device.
type Address struct {
	Interface string       `json:"interface"`
	Prefix    netip.Prefix `json:"prefix"`
}

// Route is a host route.
type Route struct {
	Interface   string     `json:"interface"`
	Destination netip.Addr `json:"destination"`
}

// Proxy is an address that neighbour discovery answers for on a device, though the machine does not have it there.
type Proxy struct {
	Interface string     `json:"interface"`
	Address   netip.Addr `json:"address"`
}

// Default is a default route.
type Default struct {
	IPv6      bool       `json:"ipv6"`
	Interface string     `json:"interface"`
	Gateway   netip.Addr `json:"gateway,omitzero"`
}

// FOU is a UDP port where the kernel unwraps GUE.
type FOU struct {
	IPv6 bool   `json:"ipv6"`
	Port uint16 `json:"port"`
}

func (o Observed) link(name string) (Link, bool) {
	i := slices.IndexFunc(o.Links, func(l Link) bool { return l.Name == name })
	if i < 0 {
		return Link{}, false
	}
	return o.Links[i], true
}

// holders are the addresses that are this one, whatever their mask.
func (o Observed) holders(a netip.Addr) []Address {
	var out []Address
	for _, h := range o.Addresses {
		if h.Prefix.Addr() == a {
			out = append(out, h)
		}
	}
	return out
}

func (o Observed) has(a Address) bool { return slices.Contains(o.Addresses, a) }

// routed reports whether there is a host route to the address through the device.
func (o Observed) routed(iface string, a netip.Addr) bool {
	return slices.Contains(o.Routes, Route{Interface: iface, Destination: a})
}

// effective is what the kernel goes by for arp_ignore, arp_announce and rp_filter on a device.
func (o Observed) effective(iface, name string) string {
	return sysctl.Effective(o.Sysctls, iface, name)
}
