package director

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"maps"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/internal/ahead"
	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/history"
	"github.com/lvs-ha/lvs-ha/internal/notify"
	"github.com/lvs-ha/lvs-ha/internal/pool"
	"github.com/lvs-ha/lvs-ha/internal/wallclock"
	"github.com/lvs-ha/lvs-ha/ipvs"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// reportTimeout is how long a status waits for the speaker's counters before it shows the last known ones.
const reportTimeout = 500 * time.Millisecond

// Survey returns the director's state with current counters of kernel and speaker, without its services, and these as a
// sequence, each valid until the next: 40,000 real servers as a whole take 60 MB. It does not wait for other work: counters
// that are not available in time are omitted and reported as a problem.
func (d *Director) Survey(ctx context.Context) (api.Status, iter.Seq[*api.Service], error) {
	open, lacking := false, false
	if err := d.view(ctx, func() { open, lacking = d.kernel != nil, len(d.vrrp) < len(d.instances) }); err != nil {
		return api.Status{}, nil, err
	}
	var reporting sync.WaitGroup
	reporting.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, reportTimeout)
		defer cancel()
		if err := d.speaker.Report(ctx, lacking); err != nil {
			d.Logger.Debug("status without current counters of the speaker", "error", err)
		}
	})
	var kernel observed
	var unread error
	if open {
		kernel, unread = d.counters.read(ctx)
	}
	reporting.Wait()
	var seen snapshot
	if err := d.view(ctx, func() { seen = d.snapshot() }); err != nil {
		return api.Status{}, nil, err
	}
	if unread != nil {
		seen.problems = append(seen.problems, api.Problem{
			What: api.ProblemUnread, Text: "the kernel's table could not be read: " + unread.Error(), Since: time.Now(),
		})
	}
	now := time.Now()
	status := seen.status(kernel, now)
	if at := d.counters.last.Load(); at != nil {
		status.KernelRead = wallclock.Export(*at, now)
	}
	if d.Upgrade != nil {
		status.Upgrade = d.Upgrade()
	}
	return status, seen.services(kernel, now), nil
}

// Config returns the configuration in force, without secrets.
func (d *Director) Config(ctx context.Context) (cfg *config.Config, err error) {
	err = d.view(ctx, func() { cfg = d.cfg })
	if err != nil {
		return nil, err
	}
	return cfg.Redacted(), nil
}

// snapshot is the director's state at one moment, and immutable.
type snapshot struct {
	version    string
	started    time.Time
	cfg        *config.Config
	inForce    api.Config
	problems   []api.Problem
	pools      pool.Inputs
	sources    map[string]sourceState
	expansions map[ipvs.ServiceKey]pool.Expansion
	overrides  map[pool.Server]override
	vrrp       map[string]vrrp.Status
	history    map[string][]history.Event
	receivers  []notify.Stats
}

func (d *Director) snapshot() snapshot {
	s := snapshot{
		version: d.Version, started: d.started, cfg: d.cfg, inForce: d.inForce(time.Now()),
		problems: slices.Clone(d.problems.open), pools: d.inputs(), vrrp: maps.Clone(d.vrrp), history: map[string][]history.Event{},
		receivers: d.notifier.Stats(),
	}
	s.overrides = maps.Clone(d.overrides)
	s.sources, s.expansions = maps.Clone(d.found.sources), d.found.expansions
	s.pools.Health, s.pools.Memories = d.checks.Share(), maps.Clone(d.memories)
	for _, r := range s.receivers {
		if r.Error != "" {
			s.problems = append(s.problems, api.Problem{What: r.Name, Text: r.Error, Since: r.Since})
		}
	}
	for _, v := range d.cfg.VRRP {
		s.history[v.Name] = d.history.Of(v.Name)
	}
	if !d.linked && len(d.cfg.VRRP) > 0 {
		s.problems = append(s.problems, api.Problem{What: "speaker", Text: "the speaker (VRRP process) is not connected; it is being restarted", Since: d.unlinked})
	}
	return s
}

// status combines the snapshot with the kernel's counters. It leaves the services out.
func (s *snapshot) status(actual observed, now time.Time) api.Status {
	out := api.Status{
		Version:  s.version,
		Node:     s.cfg.Node,
		Started:  wallclock.Export(s.started, now),
		Config:   s.inForce,
		Problems: s.problems,
	}
	for i := range out.Problems {
		out.Problems[i].Since = wallclock.Export(out.Problems[i].Since, now)
	}
	for _, v := range s.cfg.VRRP {
		known, ok := s.vrrp[v.Name]
		if !ok {
			known = vrrp.Status{Name: v.Name, Interface: v.Interface, VirtualRouterID: v.VirtualRouterID, Family: v.Family, Version: v.Version,
				State: vrrp.Initialize, Reason: "no status from the speaker yet", Priority: v.Priority, AdvertiseInterval: v.AdvertiseInterval}
			for _, a := range v.Addresses {
				known.Addresses = append(known.Addresses, a.Prefix.String())
			}
		}
		known.UnicastPeers = v.UnicastPeers
		known.Since = wallclock.Export(known.Since, now)
		out.VRRP = append(out.VRRP, api.InstanceOf(known, exportTimes(s.history[v.Name], now)))
	}
	for _, r := range s.receivers {
		out.Notify = append(out.Notify, api.Receiver{
			Name: r.Name, Waiting: r.Waiting, Delivered: r.Delivered, Failed: r.Failed, Dropped: r.Dropped, Error: r.Error,
		})
	}
	for _, r := range actual.daemons {
		daemon := api.SyncDaemon{SyncSettings: api.SyncOf(r)}
		if v := followed(s.cfg); v != nil {
			daemon.Instance = v.Name
		}
		out.Sync = append(out.Sync, daemon)
	}
	own := make(map[ipvs.ServiceKey]bool, len(s.cfg.Services))
	for i := range s.cfg.Services {
		own[s.cfg.Services[i].ServiceKey] = true
	}
	for _, a := range actual.table {
		if !own[a.ServiceKey] {
			out.Foreign = append(out.Foreign, api.ForeignService{ServiceSettings: api.ServiceOf(a.Service), Servers: len(a.Destinations)})
		}
	}
	return out
}

// exportTimes returns events with their times adjusted to the current wall clock.
func exportTimes(events []history.Event, now time.Time) []history.Event {
	events = slices.Clone(events)
	for i := range events {
		events[i].Time = wallclock.Export(events[i].Time, now)
	}
	return events
}

// services returns the status of each service. Each replaces the one before. All CPUs compute them in advance: with 40,000 real
// servers that takes most of the time of a request.
func (s *snapshot) services(actual observed, now time.Time) iter.Seq[*api.Service] {
	return func(yield func(*api.Service) bool) {
		kernel := make(map[ipvs.ServiceKey]*ipvs.ServiceState, len(actual.table))
		for i := range actual.table {
			kernel[actual.table[i].ServiceKey] = &actual.table[i]
		}
		ahead.Each(runtime.GOMAXPROCS(0), len(s.cfg.Services), func() func(i int) *api.Service {
			memory := surveyed{kernel: map[ipvs.DestinationKey]*ipvs.DestinationState{}}
			return func(i int) *api.Service {
				actual, present := kernel[s.cfg.Services[i].ServiceKey]
				if !present {
					actual = &ipvs.ServiceState{}
				}
				s.serviceStatus(&memory, &s.cfg.Services[i], actual, present, now)
				return &memory.service
			}
		}, yield)
	}
}

// surveyed is the memory for the status of a service.
type surveyed struct {
	service api.Service
	servers []api.Server
	checks  []api.Check
	kernel  map[ipvs.DestinationKey]*ipvs.DestinationState
}

func (s *snapshot) serviceStatus(m *surveyed, vs *config.VirtualService, actual *ipvs.ServiceState, present bool, now time.Time) {
	m.servers, m.checks = m.servers[:0], m.checks[:0]
	in := s.pools
	in.Seen = func(endpoint netip.AddrPort, spec *healthcheck.Spec, health *healthcheck.Health) {
		m.checks = append(m.checks, api.Check{
			Kind: string(spec.Kind()), Endpoint: endpoint, State: health.State, Since: wallclock.Export(health.Since, now), Detail: health.Detail, Took: api.Duration(health.Took), Advice: health.Advice.String(),
		})
	}
	verdict := pool.Decide(vs, in)
	m.service = api.Service{
		Name: vs.Name, ServiceSettings: api.ServiceOf(vs.Service), Present: present, Quorum: api.Quorum(verdict.Quorum), Stats: api.Stats(actual.Stats),
	}
	out := &m.service
	out.Quorum.Since = wallclock.Export(out.Quorum.Since, now)
	out.Sources, out.Absent = s.sourcesOf(vs, now), s.absentOf(vs, now)
	clear(m.kernel)
	for i := range actual.Destinations {
		m.kernel[actual.Destinations[i].DestinationKey] = &actual.Destinations[i]
	}
	until := make(map[ipvs.DestinationKey]time.Time, len(verdict.Leaving))
	for _, l := range verdict.Leaving {
		until[l.Destination.DestinationKey] = wallclock.Export(l.Until, now)
	}
	checks := m.checks
	for i := range verdict.Members {
		member, rs := &verdict.Members[i], &vs.RealServers[i]
		server := api.Server{
			ServerSettings: api.ServerOf(rs.Destination), Sorry: rs.Sorry, Source: rs.Source, Effective: member.Destination.Weight, State: member.State, Since: wallclock.Export(member.Since, now), Reason: member.Reason.String(),
		}
		if o, ok := s.overrides[pool.Server{Service: vs.ServiceKey, Destination: rs.DestinationKey}]; ok {
			server.Override = overrideOf(o, now)
		}
		n := len(pool.ChecksOf(vs, rs))
		server.Checks, checks = checks[:n:n], checks[n:]
		server.LeavingUntil = until[rs.DestinationKey]
		delete(until, rs.DestinationKey)
		m.observe(&server)
		m.servers = append(m.servers, server)
	}
	out.Servers = m.servers
	for _, l := range verdict.Leaving {
		key := l.Destination.DestinationKey
		if _, removed := until[key]; removed && m.kernel[key] != nil {
			server := api.Server{ServerSettings: api.ServerOf(l.Destination), Reason: pool.Removed.String(), LeavingUntil: until[key]}
			m.observe(&server)
			out.Leaving = append(out.Leaving, server)
		}
	}
}

// observe adds what the kernel's table has of a server.
func (m *surveyed) observe(s *api.Server) {
	if dest, ok := m.kernel[ipvs.DestinationKey(s.ServerKey)]; ok {
		s.Present, s.KernelWeight = true, dest.Weight
		s.Active, s.Inactive, s.Stats = dest.Active, dest.Inactive, api.Stats(dest.Stats)
	}
}

func overrideOf(o override, now time.Time) *api.Override {
	return &api.Override{
		Action: api.OverrideAction(o.Action), Weight: o.Weight, Since: wallclock.Export(o.Since, now), Until: o.Until, Deadline: o.Deadline,
		By: o.By, Reason: o.Reason, Keep: o.Keep,
	}
}

// absentOf returns the servers of a service that are not listed now, and have overrides.
func (s *snapshot) absentOf(vs *config.VirtualService, now time.Time) []api.AbsentServer {
	var list []api.AbsentServer
	for server, o := range s.overrides {
		present := func(rs config.RealServer) bool { return rs.DestinationKey == server.Destination }
		if server.Service == vs.ServiceKey && !slices.ContainsFunc(vs.RealServers, present) {
			list = append(list, api.AbsentServer{ServerKey: api.ServerKey(server.Destination), Override: *overrideOf(o, now)})
		}
	}
	slices.SortFunc(list, func(a, b api.AbsentServer) int {
		return cmp.Or(a.Address.Compare(b.Address), cmp.Compare(a.Port, b.Port))
	})
	return list
}

// maxIgnored limits the ignored servers that are shown of a source.
const maxIgnored = 5

func (s *snapshot) sourcesOf(vs *config.VirtualService, now time.Time) []api.Source {
	var list []api.Source
	for _, d := range vs.Discover {
		key := d.Key()
		state := s.sources[key]
		source := api.Source{
			Name: d.Source.String(), Known: state.known, Listed: state.list.Listed(), Answered: wallclock.Export(state.answered, now),
			Error: state.err, Failed: wallclock.Export(state.failed, now),
		}
		ignored := s.expansions[vs.ServiceKey].Ignored[key]
		for i, one := range ignored {
			if i == maxIgnored {
				source.Ignored = append(source.Ignored, fmt.Sprintf("and %d more", len(ignored)-i))
				break
			}
			source.Ignored = append(source.Ignored, one.Server.String()+": "+one.Why)
		}
		list = append(list, source)
	}
	return list
}
