// Package host reads a host's links, addresses and routes from the kernel, completely and in bounded time.
package host

import (
	"cmp"
	"errors"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Link is a network device.
type Link struct {
	Index     int
	Name      string
	Up        bool // set up by the administrator
	NoCarrier bool // set up, but its lower layer does not work
	Loopback  bool
	NoARP     bool // uses neither ARP nor neighbour discovery
	Any       bool // an IPv6 tunnel that also accepts IPv4
	MTU       int
	Hardware  net.HardwareAddr
	Alias     string
}

// Running reports whether the link carries packets.
func (l Link) Running() bool { return l.Up && !l.NoCarrier }

// Neighbors reports whether hosts are found on the link by ARP or neighbour discovery: a network card, a bridge or a
// VLAN, but not lo or a tunnel.
func (l Link) Neighbors() bool { return !l.NoARP && !l.Loopback }

// LinkOf converts a netlink link.
func LinkOf(l netlink.Link) Link {
	a := l.Attrs()
	up := a.RawFlags&unix.IFF_UP != 0
	out := Link{
		Index: a.Index, Name: a.Name, MTU: a.MTU, Hardware: a.HardwareAddr, Alias: a.Alias,
		// The kernel derives IFF_RUNNING from the operational state (dev_get_flags, net/core/dev.c).
		Up: up, NoCarrier: up && a.RawFlags&unix.IFF_RUNNING == 0,
		Loopback: a.RawFlags&unix.IFF_LOOPBACK != 0, NoARP: a.RawFlags&unix.IFF_NOARP != 0,
	}
	if t, ok := l.(*netlink.Ip6tnl); ok {
		out.Any = t.Proto == 0
	}
	return out
}

// Links are the links of a host.
type Links []Link

// Find returns the link with a name.
func (l Links) Find(name string) (Link, bool) {
	i := slices.IndexFunc(l, func(l Link) bool { return l.Name == name })
	if i < 0 {
		return Link{}, false
	}
	return l[i], true
}

// NameOf returns the name of the link with an index, or "" if there is none.
func (l Links) NameOf(index int) string {
	i := slices.IndexFunc(l, func(l Link) bool { return l.Index == index })
	if i < 0 {
		return ""
	}
	return l[i].Name
}

// Address is an address on a link.
type Address struct {
	Interface string
	Prefix    netip.Prefix
}

// Route is a unicast route, or the one that the kernel uses for an address.
type Route struct {
	Destination netip.Prefix // 0.0.0.0/0 or ::/0: a default route
	Interface   string
	Gateway     netip.Addr // zero: the destination is on a network of this host
	Source      netip.Addr // which the kernel would choose
	MTU         int        // of the path, 0 if unknown
	Local       bool       // to an address of this host
	Advertised  bool       // by a router advertisement
}

// Default reports whether it is a default route.
func (r Route) Default() bool { return r.Destination.IsValid() && r.Destination.Bits() == 0 }

// IPv6 reports whether it is an IPv6 route.
func (r Route) IPv6() bool { return r.Destination.Addr().Is6() }

// State is the state of a host at one moment.
type State struct {
	Links     Links
	Addresses []Address
	Routes    []Route // unicast ones of the main table, best first
}

// Read reads the tables. After an error it also returns what could be read.
func Read(h *netlink.Handle) (State, error) {
	var s State
	links, err := List("network devices", h.LinkList)
	if err != nil {
		return s, err // without links, nothing else can be named
	}
	for _, l := range links {
		s.Links = append(s.Links, LinkOf(l))
	}
	addresses, addressErr := List("addresses", func() ([]netlink.Addr, error) { return h.AddrList(nil, netlink.FAMILY_ALL) })
	for _, a := range addresses {
		if p, ok := Prefix(a.IPNet); ok {
			s.Addresses = append(s.Addresses, Address{Interface: s.Links.NameOf(a.LinkIndex), Prefix: p})
		}
	}
	routes, routeErr := List("routes", func() ([]netlink.Route, error) {
		return h.RouteListFiltered(netlink.FAMILY_ALL, &netlink.Route{Table: unix.RT_TABLE_MAIN}, netlink.RT_FILTER_TABLE)
	})
	slices.SortStableFunc(routes, func(a, b netlink.Route) int { return cmp.Compare(a.Priority, b.Priority) })
	for _, r := range routes {
		if r.Type == unix.RTN_UNICAST {
			s.Routes = append(s.Routes, routeOf(r, s.Links))
		}
	}
	return s, errors.Join(addressErr, routeErr)
}

// RouteTo returns the route that the kernel would use.
func RouteTo(h *netlink.Handle, to netip.Addr, links Links) (Route, error) {
	found, err := h.RouteGet(to.AsSlice())
	if err != nil {
		return Route{}, err
	}
	if len(found) == 0 {
		return Route{}, unix.ENETUNREACH
	}
	return routeOf(found[0], links), nil
}

// routeOf converts a netlink route. It uses the first of several next hops.
func routeOf(r netlink.Route, links Links) Route {
	index, gateway := r.LinkIndex, r.Gw
	if len(r.MultiPath) > 0 {
		index, gateway = r.MultiPath[0].LinkIndex, r.MultiPath[0].Gw
	}
	out := Route{
		Interface: links.NameOf(index), Gateway: addressOf(gateway), Source: addressOf(r.Src), MTU: r.MTU,
		Local: r.Type == unix.RTN_LOCAL, Advertised: r.Protocol == unix.RTPROT_RA,
	}
	var ok bool
	if out.Destination, ok = Prefix(r.Dst); !ok {
		out.Destination = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
		if r.Family == netlink.FAMILY_V6 {
			out.Destination = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
		}
	}
	return out
}
