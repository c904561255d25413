package director

import (
	"context"
	"fmt"
	"maps"
	"net/http"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/ipvs"
	connsync "github.com/lvs-ha/lvs-ha/sync"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// standing is what a plan starts from. The zero value is that of a machine where lvs-ha never ran.
type standing struct {
	inForce *config.Config  // nil if no director runs
	probed  map[string]bool // keys of the targets that are being checked
	health  health
	vrrp    map[string]vrrp.Status
	memory  memory
}

// Plan says what putting cfg in force would change now, or, if it is nil, what a Reload would. Real servers that are not
// checked yet count as passing.
func (d *Director) Plan(ctx context.Context, cfg *config.Config) (api.Plan, error) {
	if cfg == nil {
		loaded, err := d.Load()
		if err != nil {
			return api.Plan{}, refusal(err)
		}
		cfg = loaded
	}
	var now standing
	err := d.view(ctx, func() {
		now = standing{inForce: d.cfg, probed: map[string]bool{}, health: maps.Clone(d.health), vrrp: maps.Clone(d.vrrp), memory: d.memory}
		for key := range d.users {
			now.probed[key] = true
		}
	})
	if err != nil {
		return api.Plan{}, err
	}
	if nothing(cfg) && !nothing(now.inForce) {
		return api.Plan{}, refusal(errEmptied) // as a reload would say
	}
	p, err := plan(ctx, d.OpenKernel, cfg, now)
	if err != nil {
		return api.Plan{}, &api.Error{Status: http.StatusServiceUnavailable, Err: err}
	}
	return p, nil
}

// PlanStopped says the same where no director runs: as if all health checks passed. Which services lvs-ha made before is
// in the state file.
func PlanStopped(ctx context.Context, open func(context.Context) (Kernel, error), cfg *config.Config, stateFile string) (api.Plan, error) {
	remembered, err := recall(stateFile)
	if err != nil {
		return api.Plan{}, err
	}
	return plan(ctx, open, cfg, standing{memory: remembered})
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
	known, assumed := now.assume(cfg)
	p.Assumed = assumed
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
	diff := ipvs.Diff(desired(cfg, known, adopt(cfg, actual)), actual, now.memory.owns())
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

// assume returns the health of the targets, in which those that nobody checks yet pass, and how many real servers have
// such a target.
func (s standing) assume(cfg *config.Config) (known health, servers int) {
	known = health{}
	passing := healthcheck.Health{State: healthcheck.Up}
	for _, vs := range cfg.Services {
		for _, rs := range vs.RealServers {
			assumed := false
			for _, t := range targetsOf(vs, rs) {
				key := t.Key()
				if s.probed[key] {
					known[key] = s.health[key]
					continue
				}
				known[key], assumed = passing, true
			}
			if assumed {
				servers++
			}
		}
	}
	return known, servers
}

// sync returns the steps to the wanted connection-sync daemon. Where VRRP has not said which role it has, that of the
// daemon that runs stays, and without one it begins as backup.
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
