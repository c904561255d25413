package doctor

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/rtnetlink"
	"github.com/lvs-ha/lvs-ha/ipvs"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// seeNetwork reads devices, addresses and routes, makes the health checks, and sees then who did not answer.
func seeNetwork(ctx context.Context, cfg *config.Config, o *Observed) error {
	h, err := rtnetlink.Open(rtnetlink.Timeout)
	if err != nil {
		return err
	}
	defer h.Close()
	names, err := seeLinks(h, o)
	if err != nil {
		return err
	}
	err = errors.Join(seeAddresses(h, names, o), seeDefaults(h, names, o))
	seeRoutes(h, names, cfg, o)
	askNeighbors(ctx, o)
	var probeErr error
	o.Probes, probeErr = probe(ctx, cfg)
	return errors.Join(err, probeErr, seeNeighbors(ctx, h, names, o))
}

func seeLinks(h *netlink.Handle, o *Observed) (map[int]string, error) {
	links, err := rtnetlink.List("network devices", h.LinkList)
	if err != nil {
		return nil, err
	}
	names := map[int]string{}
	for _, l := range links {
		a := l.Attrs()
		names[a.Index] = a.Name
		carrier := a.OperState == netlink.OperUp || a.OperState == netlink.OperUnknown
		o.Links = append(o.Links, Link{
			Name: a.Name, Up: a.Flags&net.FlagUp != 0 && carrier, NoCarrier: a.Flags&net.FlagUp != 0 && !carrier, MTU: a.MTU,
			Network: a.RawFlags&(unix.IFF_NOARP|unix.IFF_LOOPBACK) == 0,
		})
	}
	return names, nil
}

func seeAddresses(h *netlink.Handle, names map[int]string, o *Observed) error {
	addresses, err := rtnetlink.List("addresses", func() ([]netlink.Addr, error) { return h.AddrList(nil, netlink.FAMILY_ALL) })
	for _, a := range addresses {
		if p, ok := rtnetlink.Prefix(a.IPNet); ok {
			o.Addresses = append(o.Addresses, Address{Interface: names[a.LinkIndex], Prefix: p})
		}
	}
	return err
}

func seeDefaults(h *netlink.Handle, names map[int]string, o *Observed) error {
	routes, err := rtnetlink.List("routes", func() ([]netlink.Route, error) {
		return h.RouteListFiltered(netlink.FAMILY_ALL, &netlink.Route{Table: unix.RT_TABLE_MAIN}, netlink.RT_FILTER_TABLE)
	})
	slices.SortStableFunc(routes, func(a, b netlink.Route) int { return cmp.Compare(a.Priority, b.Priority) })
	for _, r := range routes {
		if dst, ok := rtnetlink.Prefix(r.Dst); ok && dst.Bits() != 0 || r.Type != unix.RTN_UNICAST {
			continue
		}
		index := r.LinkIndex
		if len(r.MultiPath) > 0 {
			index = r.MultiPath[0].LinkIndex
		}
		o.Defaults = append(o.Defaults, Default{
			IPv6: r.Family == netlink.FAMILY_V6, Interface: names[index], Advertised: r.Protocol == unix.RTPROT_RA,
		})
	}
	return err
}

// seeRoutes asks for the way to each real server. That there is none is an observation.
func seeRoutes(h *netlink.Handle, names map[int]string, cfg *config.Config, o *Observed) {
	o.Routes = map[netip.Addr]Route{}
	for _, s := range byAddress(cfg, ipvs.Masquerade, ipvs.DirectRoute, ipvs.Tunnel) {
		found, err := h.RouteGet(s.Address.AsSlice())
		switch {
		case err != nil:
			o.Routes[s.Address] = Route{Error: err.Error()}
		case len(found) > 0:
			o.Routes[s.Address] = routeOf(found[0], names, o)
		}
	}
}

func routeOf(r netlink.Route, names map[int]string, o *Observed) Route {
	route := Route{Interface: names[r.LinkIndex], MTU: r.MTU, Local: r.Type == unix.RTN_LOCAL}
	if gateway, ok := netip.AddrFromSlice(r.Gw); ok {
		route.Gateway = gateway.Unmap()
	}
	if source, ok := netip.AddrFromSlice(r.Src); ok {
		route.Source = source.Unmap()
	}
	if link, exists := o.link(route.Interface); exists && route.MTU == 0 {
		route.MTU = link.MTU
	}
	return route
}
