package director

import (
	"context"
	"slices"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/wallclock"
	"github.com/lvs-ha/lvs-ha/ipvs"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// reportTimeout is how long a status waits for the speaker's counters before it shows the last known ones.
const reportTimeout = 500 * time.Millisecond

// Status says everything the director knows, with the kernel's and the speaker's counters of now.
func (d *Director) Status(ctx context.Context) (api.Status, error) {
	reportCtx, cancel := context.WithTimeout(ctx, reportTimeout)
	defer cancel()
	if err := d.speaker.Report(reportCtx); err != nil {
		d.Logger.Debug("the status is without the speaker's counters of now", "error", err)
	}
	var status api.Status
	err := d.do(ctx, func() error {
		d.take(d.inbox.take())
		status = d.status(ctx)
		return nil
	})
	return status, err
}

func (d *Director) status(ctx context.Context) api.Status {
	ctx, cancel := context.WithTimeout(ctx, kernelTimeout)
	defer cancel()
	now := time.Now()
	s := api.Status{
		Version:  d.Version,
		Node:     d.cfg.Node,
		Started:  wallclock.Told(d.started, now),
		Config:   api.Config{Path: d.ConfigPath, Loaded: wallclock.Told(d.loaded, now)},
		Problems: slices.Clone(d.problems.open),
	}
	if d.reloadErr != nil {
		s.Config.ReloadError = d.reloadErr.Error()
	}
	if !d.linked && len(d.cfg.VRRP) > 0 {
		s.Problems = append(s.Problems, api.Problem{What: "speaker", Text: "the VRRP process is not connected; it is being started again", Since: d.unlinked})
	}
	for i := range s.Problems {
		s.Problems[i].Since = wallclock.Told(s.Problems[i].Since, now)
	}
	for _, v := range d.cfg.VRRP {
		known, ok := d.vrrp[v.Name]
		if !ok {
			known = vrrp.Status{Name: v.Name, Interface: v.Interface, VirtualRouterID: v.VirtualRouterID, Family: v.Family, Version: v.Version,
				State: vrrp.Initialize, Reason: "not yet heard from the speaker", Priority: v.Priority, AdvertiseInterval: v.AdvertiseInterval}
		}
		known.Since = wallclock.Told(known.Since, now)
		s.VRRP = append(s.VRRP, known)
	}
	var actual []ipvs.ServiceState
	if d.kernel != nil {
		actual, _ = d.kernel.Table(ctx)
		if running, err := d.kernel.Daemons(ctx); err == nil {
			for _, r := range running {
				daemon := api.SyncDaemon{Running: r}
				if v := followed(d.cfg); v != nil {
					daemon.Instance = v.Name
				}
				s.Sync = append(s.Sync, daemon)
			}
		}
	}
	kernel := map[ipvs.ServiceKey]ipvs.ServiceState{}
	for _, a := range actual {
		kernel[a.ServiceKey] = a
	}
	for _, vs := range d.cfg.Services {
		a, present := kernel[vs.ServiceKey]
		s.Services = append(s.Services, d.serviceStatus(vs, a, present, now))
		delete(kernel, vs.ServiceKey)
	}
	for _, a := range actual {
		if _, foreign := kernel[a.ServiceKey]; foreign {
			s.Foreign = append(s.Foreign, api.ForeignService{Service: a.Service, Servers: len(a.Destinations)})
		}
	}
	return s
}

func (d *Director) serviceStatus(vs config.VirtualService, actual ipvs.ServiceState, present bool, now time.Time) api.Service {
	out := api.Service{Name: vs.Name, Service: vs.Service, Present: present, Stats: actual.Stats}
	kernel := map[ipvs.DestinationKey]ipvs.DestinationState{}
	for _, dest := range actual.Destinations {
		kernel[dest.DestinationKey] = dest
	}
	for _, rs := range vs.RealServers {
		targets := targetsOf(vs, rs)
		server := api.Server{Destination: rs.Destination, State: d.health.server(targets)}
		for _, t := range targets {
			check := api.Check{Kind: t.Spec.Kind, Endpoint: t.Endpoint, State: healthcheck.Unknown}
			if r, ok := d.health[t.Key()]; ok {
				check.State, check.Since, check.Detail = r.State, wallclock.Told(r.Since, now), r.Detail
			}
			if check.State == server.State && check.Since.After(server.Since) {
				server.Since = check.Since
			}
			server.Checks = append(server.Checks, check)
		}
		if dest, ok := kernel[rs.DestinationKey]; ok {
			server.Present, server.KernelWeight = true, dest.Weight
			server.Active, server.Inactive, server.Stats = dest.Active, dest.Inactive, dest.Stats
		}
		out.Servers = append(out.Servers, server)
	}
	return out
}
