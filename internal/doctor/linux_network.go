package doctor

import (
	"context"
	"errors"
	"net/netip"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/host"
	"github.com/lvs-ha/lvs-ha/ipvs"
	"github.com/vishvananda/netlink"
)

// seeNetwork reads devices, addresses and routes, makes the health checks, and sees then who did not answer.
func seeNetwork(ctx context.Context, cfg *config.Config, o *Observed) error {
	h, err := host.Open(host.Timeout)
	if err != nil {
		return err
	}
	defer h.Close()
	state, err := host.Read(h)
	if len(state.Links) == 0 {
		return err
	}
	o.Links, o.Addresses = state.Links, state.Addresses
	for _, r := range state.Routes {
		if r.Default() {
			o.Defaults = append(o.Defaults, r)
		}
	}
	seeRoutes(h, cfg, o)
	askNeighbors(ctx, o)
	var probeErr error
	o.Probes, probeErr = probe(ctx, cfg)
	return errors.Join(err, probeErr, seeNeighbors(ctx, h, o))
}

// seeRoutes asks for the way to each real server. That there is none is an observation.
func seeRoutes(h *netlink.Handle, cfg *config.Config, o *Observed) {
	o.Routes, o.Unreachable = map[netip.Addr]host.Route{}, map[netip.Addr]string{}
	for _, s := range byAddress(cfg, ipvs.Masquerade, ipvs.DirectRoute, ipvs.Tunnel) {
		route, err := host.RouteTo(h, s.Address, o.Links)
		if err != nil {
			o.Unreachable[s.Address] = err.Error()
			continue
		}
		if link, exists := o.link(route.Interface); exists && route.MTU == 0 {
			route.MTU = link.MTU
		}
		o.Routes[s.Address] = route
	}
}
