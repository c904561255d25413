package doctor

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/ipvs"
)

const (
	probeLimit     = 5 * time.Second // of one check, whatever its own timeout
	probesAtATime  = 64
	assumedTimeout = 3 * time.Second // the kernel asks a neighbour three times, a second apart
)

// task is a check to be made once.
type task struct {
	target  healthcheck.Target
	assumed bool
}

// tasks are all configured checks, each once, and a connection to servers that have none.
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
			add(task{target: healthcheck.NewTarget(s.Address, s.Port, c)})
		}
		if len(checks) == 0 && s.service.Protocol == ipvs.TCP && s.Port != 0 {
			spec := healthcheck.Spec{Kind: healthcheck.TCP, Interval: assumedTimeout, Timeout: assumedTimeout, Rise: 1, Fall: 1}
			add(task{target: healthcheck.NewTarget(s.Address, s.Port, spec), assumed: true})
		}
	}
	return out
}

// probe makes every check once, many at the same time. Those that it did not come to before the context ended are an
// error.
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
		return out, fmt.Errorf("%d of %d health checks were not made in time", missing, len(due))
	}
	return out, nil
}

func (t task) make(ctx context.Context) Probe {
	p := Probe{Endpoint: t.target.Endpoint, Kind: string(t.target.Spec.Kind), Assumed: t.assumed}
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
