package director

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/pool"
	"github.com/lvs-ha/lvs-ha/ipvs"
	connsync "github.com/lvs-ha/lvs-ha/sync"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// standing is the initial state of a plan. The zero value is a host where lvs-ha never ran.
type standing struct {
	inForce *config.Config // nil if no director runs
	checks  *pool.Results  // the running ones

	memories map[ipvs.ServiceKey]pool.Memory
	orders   map[pool.Server]pool.Override
	lists    pool.Lists
	vrrp     map[string]vrrp.Status
	memory   memory
}

// Plan returns the changes that applying cfg would make now, or a Reload if cfg is nil. Real servers without
// check results count as passing.
func (d *Director) Plan(ctx context.Context, cfg *config.Config) (api.Plan, error) {
	if cfg == nil {
		loaded, _, err := d.Load()
		if err != nil {
			return api.Plan{}, refusal(err)
		}
		cfg = loaded
	}
	var now standing
	err := d.view(ctx, func() {
		now = standing{inForce: d.cfg, checks: d.checks.Share(), memories: maps.Clone(d.memories), orders: d.orders, lists: d.lists(),
			vrrp: maps.Clone(d.vrrp), memory: d.memory}
	})
	if err != nil {
		return api.Plan{}, err
	}
	if isEmpty(cfg) && !isEmpty(now.inForce) {
		return api.Plan{}, refusal(errEmptied) // as a reload would
	}
	p, err := plan(ctx, d.OpenKernel, cfg, now)
	if err != nil {
		return api.Plan{}, &api.Error{Status: http.StatusServiceUnavailable, Err: err}
	}
	return p, nil
}

// PlanStopped is Plan without a running director: all health checks count as passing, and the state file lists the
// services that lvs-ha created before.
func PlanStopped(ctx context.Context, open func(context.Context) (Kernel, error), cfg *config.Config, stateFile string) (api.Plan, error) {
	remembered, err := recall(stateFile)
	if err != nil {
		return api.Plan{}, err
	}
	saved, err := recallBy[[]savedSource](discoveryFormat.Read, discoveryFile(stateFile))
	if err != nil {
		return api.Plan{}, err
	}
	now := standing{memory: remembered, checks: &pool.Results{}, lists: pool.Lists{}}
	for _, s := range saved {
		now.lists[s.Key] = s.List
	}
	return plan(ctx, open, cfg, now)
}

func plan(ctx context.Context, open func(context.Context) (Kernel, error), cfg *config.Config, now standing) (api.Plan, error) {
	ctx, cancel := context.WithTimeout(ctx, kernelTimeout)
	defer cancel()
	p := api.Plan{
		Running: now.inForce != nil,
		Table:   []api.Step{}, Foreign: []api.ServiceKey{}, Sync: []api.SyncStep{}, Timeouts: []api.Change{}, Settings: []api.Setting{},
		Services: []api.NamedService{},
	}
	for _, vs := range cfg.Services {
		p.Services = append(p.Services, api.NamedService{Name: vs.Name, ServiceKey: api.ServiceKey(vs.ServiceKey)})
	}
	p.Settings = append(p.Settings, settings(now.inForce, cfg)...)
	kernel, err := open(ctx)
	if err != nil {
		if needsKernel(cfg, now.memory) {
			return api.Plan{}, err
		}
		return p, nil
	}
	defer kernel.Close()
	actual, err := kernel.Table(ctx)
	if err != nil {
		return api.Plan{}, err
	}
	cfg, p.Undiscovered = now.discovered(cfg, actual)
	want, assumed := now.table(cfg, actual)
	p.Assumed = assumed
	diff := ipvs.Diff(want, actual, now.memory.owns())
	for _, s := range diff.Steps {
		p.Table = append(p.Table, api.StepOf(s))
	}
	for _, key := range diff.Foreign {
		p.Foreign = append(p.Foreign, api.ServiceKey(key))
	}
	running, err := kernel.Daemons(ctx)
	if err != nil {
		return api.Plan{}, err
	}
	for _, s := range now.sync(cfg, running) {
		p.Sync = append(p.Sync, api.SyncStepOf(s))
	}
	if cfg.Timeouts != nil {
		current, err := kernel.Timeouts(ctx)
		if err != nil {
			return api.Plan{}, err
		}
		p.Timeouts = append(p.Timeouts, timeoutChanges(current, *cfg.Timeouts)...)
	}
	return p, nil
}

// discovered returns the configuration with the servers of the last good lists, and the sources that have none. As at a reload, these have
// the servers found in the kernel.
func (s standing) discovered(cfg *config.Config, actual []ipvs.ServiceState) (expanded *config.Config, missing []string) {
	lists := maps.Clone(s.lists)
	for key, source := range cfg.Sources() {
		if _, known := lists[key]; !known {
			missing = append(missing, source.String())
		}
	}
	slices.Sort(missing)
	maps.Copy(lists, pool.Found(cfg.Services, lists, actual))
	expanded, _ = pool.ExpandAll(cfg, lists, time.Now())
	return expanded, slices.Compact(missing)
}

// table returns the wanted pools of cfg, given the kernel's actual table, and how many real servers count as passing
// because their check has not run yet.
func (s standing) table(cfg *config.Config, actual []ipvs.ServiceState) (want []ipvs.Entry, assumed int) {
	inputs := pool.Inputs{
		Health:  s.checks,
		Checked: func(key string) bool { return s.checks.Users(key) != nil },
		Adopted: pool.Adopt(cfg.Services, actual),

		Memories: s.memories, Overrides: s.orders, Suspended: s.suspended(cfg), Now: time.Now(),
	}
	want = make([]ipvs.Entry, 0, len(cfg.Services))
	for _, vs := range cfg.Services {
		verdict := pool.Decide(&vs, inputs)
		for _, m := range verdict.Members {
			if m.Assumed {
				assumed++
			}
		}
		want = append(want, verdict.Entry())
	}
	return want, assumed
}

// sync returns the steps to the wanted connection-sync daemon. While the VRRP role is unknown, a running daemon keeps
// its role; without one the daemon starts as backup.
func (s standing) sync(cfg *config.Config, running []connsync.Running) []connsync.Step {
	v := followed(cfg)
	switch {
	case v != nil:
		role, known := syncRole(s.vrrp[v.Name])
		if !known {
			role = connsync.Backup
			if len(running) == 1 {
				role = running[0].Role
			}
		}
		return connsync.Decide(connsync.Wanted(v.ConnectionSync.Daemon, role), running)
	case s.memory.OwnsSync:
		return connsync.Decide(nil, running)
	}
	return nil
}

func timeoutChanges(current, wanted ipvs.Timeouts) []api.Change {
	var list []api.Change
	for _, t := range []struct {
		name     string
		from, to uint32
	}{{"tcp", current.TCP, wanted.TCP}, {"tcp_fin", current.TCPFin, wanted.TCPFin}, {"udp", current.UDP, wanted.UDP}} {
		if t.to != 0 && t.to != t.from {
			list = append(list, api.Change{Field: t.name, From: fmt.Sprintf("%ds", t.from), To: fmt.Sprintf("%ds", t.to)})
		}
	}
	return list
}
