package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/internal/host"
	"github.com/lvs-ha/lvs-ha/ipvs"
	"github.com/vishvananda/netlink"
)

// observeNetwork reads devices, addresses and routes, runs the health checks, and then finds the neighbors that do not respond.
func observeNetwork(ctx context.Context, cfg *config.Config, o *Observed) error {
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
	observeRoutes(h, cfg, o)
	askNeighbors(ctx, o)
	var probeErr error
	o.Probes, probeErr = probe(ctx, cfg)
	return errors.Join(err, probeErr, observeNeighbors(ctx, h, o))
}

// observeRoutes looks up the route to each real server. A missing route is an observation.
func observeRoutes(h *netlink.Handle, cfg *config.Config, o *Observed) {
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

const (
	discardPort = 9 // RFC 863

	// The kernel sends three requests, a second apart (mcast_solicit, retrans_time_ms).
	neighborTimeout = 3500 * time.Millisecond
	neighborPause   = 50 * time.Millisecond
)

// onLink reports whether the server is in a network of this host and so responds to ARP or neighbour discovery.
func onLink(r host.Route) bool { return !r.Local && !r.Gateway.IsValid() }

// askNeighbors sends an empty datagram to each real server, so that the kernel resolves it by ARP or neighbour discovery:
// without health checks nothing else causes that, and the kernel's entries may be outdated.
func askNeighbors(ctx context.Context, o *Observed) {
	for a, route := range o.Routes {
		if !onLink(route) {
			continue
		}
		conn, err := new(net.Dialer).DialContext(ctx, "udp", netip.AddrPortFrom(a, discardPort).String())
		if err != nil {
			continue
		}
		// The neighbour table shows whether it was sent.
		_, _ = conn.Write(nil)
		_ = conn.Close()
	}
}

// observeNeighbors finds the real servers on this host's networks that do not respond, and returns as soon as the kernel has
// resolved or given up on all of them.
func observeNeighbors(ctx context.Context, h *netlink.Handle, o *Observed) error {
	deadline := time.After(neighborTimeout)
	for {
		neighbors, err := host.List("neighbours", func() ([]netlink.Neigh, error) { return h.NeighList(0, netlink.FAMILY_ALL) })
		if err != nil {
			return err
		}
		asking := false
		o.Neighbors = map[netip.Addr]bool{}
		for _, n := range neighbors {
			a, _ := netip.AddrFromSlice(n.IP)
			route, wanted := o.Routes[a.Unmap()]
			if wanted && route.Interface == o.Links.NameOf(n.LinkIndex) && n.State&(netlink.NUD_FAILED|netlink.NUD_INCOMPLETE) != 0 {
				o.Neighbors[a.Unmap()] = true
				asking = asking || n.State&netlink.NUD_INCOMPLETE != 0
			}
		}
		if !asking {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-deadline:
			return nil
		case <-time.After(neighborPause):
		}
	}
}

const (
	probeLimit     = 5 * time.Second // of one check, regardless of its configured timeout
	probesAtATime  = 64
	assumedTimeout = 3 * time.Second // the kernel queries a neighbour three times, a second apart
)

// task is a check to run once.
type task struct {
	target  healthcheck.Target
	assumed bool
}

// tasks returns all configured checks, each once, and a TCP connection to servers without checks.
func tasks(cfg *config.Config) []task {
	var out []task
	seen := map[string]bool{}
	add := func(t task) {
		if key := t.target.Key(); !seen[key] {
			seen[key] = true
			out = append(out, t)
		}
	}
	for _, s := range servers(cfg) {
		checks := s.Checks
		if len(checks) == 0 {
			checks = s.service.Checks
		}
		for _, c := range checks {
			if _, ok := c.Check.(*healthcheck.Script); ok {
				continue // only the director runs scripts; whether it can is examined separately
			}
			add(task{target: healthcheck.NewTarget(s.Address, s.Port, c)})
		}
		if len(checks) == 0 && s.service.Protocol == ipvs.TCP && s.Port != 0 {
			spec := healthcheck.Spec{Check: &healthcheck.TCP{}, Interval: assumedTimeout, Timeout: assumedTimeout, Rise: 1, Fall: 1}
			add(task{target: healthcheck.NewTarget(s.Address, s.Port, spec), assumed: true})
		}
	}
	return out
}

// probe runs every check once, many concurrently. It returns an error if checks were not run before the context ended.
func probe(ctx context.Context, cfg *config.Config) ([]Probe, error) {
	due := tasks(cfg)
	made := make([]*Probe, len(due))
	turns := make(chan struct{}, probesAtATime)
	var group sync.WaitGroup
	for i, t := range due {
		turns <- struct{}{}
		group.Go(func() {
			defer func() { <-turns }()
			if p := t.make(ctx); ctx.Err() == nil {
				made[i] = &p
			}
		})
	}
	group.Wait()
	var out []Probe
	for _, p := range made {
		if p != nil {
			out = append(out, *p)
		}
	}
	if missing := len(due) - len(out); missing > 0 {
		return out, fmt.Errorf("%d of %d health checks were not run in time", missing, len(due))
	}
	return out, nil
}

func (t task) make(ctx context.Context) Probe {
	p := Probe{Endpoint: t.target.Endpoint, Kind: string(t.target.Spec.Kind()), Assumed: t.assumed}
	check, err := healthcheck.NewProbe(t.target.Spec)
	if err != nil {
		p.Local, p.Detail = true, err.Error()
		return p
	}
	ctx, cancel := context.WithTimeout(ctx, min(t.target.Spec.Timeout, probeLimit))
	defer cancel()
	r := check(ctx, p.Endpoint)
	p.OK, p.Local, p.Detail = r.OK, r.Local, r.Detail
	return p
}
