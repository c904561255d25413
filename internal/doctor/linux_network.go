package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/ipvs"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// seeNetwork reads devices, addresses and routes, makes the health checks, and sees then who did not answer.
func seeNetwork(ctx context.Context, cfg *config.Config, o *Observed) error {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("open route netlink: %w", err)
	}
	defer h.Close()
	if err := h.SetSocketTimeout(kernelTimeout); err != nil {
		return fmt.Errorf("open route netlink: %w", err)
	}
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

// whole asks again where a table changed while it was read.
func whole[T any](what string, ask func() ([]T, error)) ([]T, error) {
	for range 10 {
		out, err := ask()
		if err == nil {
			return out, nil
		}
		if !errors.Is(err, netlink.ErrDumpInterrupted) {
			return nil, fmt.Errorf("list %s: %w", what, err)
		}
	}
	return nil, fmt.Errorf("list %s: %w", what, netlink.ErrDumpInterrupted)
}

func seeLinks(h *netlink.Handle, o *Observed) (map[int]string, error) {
	links, err := whole("network devices", h.LinkList)
	if err != nil {
		return nil, err
	}
	names := map[int]string{}
	for _, l := range links {
		a := l.Attrs()
		names[a.Index] = a.Name
		carrier := a.OperState == netlink.OperUp || a.OperState == netlink.OperUnknown
		noARP := a.RawFlags&unix.IFF_NOARP != 0
		o.Links = append(o.Links, Link{
			Name: a.Name, Up: a.Flags&net.FlagUp != 0 && carrier, NoARP: noARP, MTU: a.MTU,
			Network: !noARP && a.RawFlags&unix.IFF_LOOPBACK == 0,
		})
	}
	return names, nil
}

func seeAddresses(h *netlink.Handle, names map[int]string, o *Observed) error {
	addresses, err := whole("addresses", func() ([]netlink.Addr, error) { return h.AddrList(nil, netlink.FAMILY_ALL) })
	for _, a := range addresses {
		if p, ok := prefixOf(a.IPNet); ok {
			o.Addresses = append(o.Addresses, Address{Interface: names[a.LinkIndex], Prefix: p})
		}
	}
	return err
}

func prefixOf(n *net.IPNet) (netip.Prefix, bool) {
	if n == nil {
		return netip.Prefix{}, false
	}
	a, ok := netip.AddrFromSlice(n.IP)
	bits, size := n.Mask.Size()
	if size == 32 {
		a = a.Unmap()
	}
	return netip.PrefixFrom(a, bits), ok
}

func seeDefaults(h *netlink.Handle, names map[int]string, o *Observed) error {
	routes, err := whole("routes", func() ([]netlink.Route, error) {
		return h.RouteListFiltered(netlink.FAMILY_ALL, &netlink.Route{Table: unix.RT_TABLE_MAIN}, netlink.RT_FILTER_TABLE)
	})
	slices.SortStableFunc(routes, func(a, b netlink.Route) int { return cmp.Compare(a.Priority, b.Priority) })
	for _, r := range routes {
		if dst, ok := prefixOf(r.Dst); ok && dst.Bits() != 0 || r.Type != unix.RTN_UNICAST {
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
