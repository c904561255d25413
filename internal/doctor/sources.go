package doctor

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/discovery"
	"github.com/lvs-ha/lvs-ha/internal/pool"
)

// Source is what a source of real servers has answered.
type Source struct {
	Name    string
	Listed  int
	Err     error
	Ignored []string // servers that a service cannot use, with the reason
}

// sourceTimeout limits the time for the answers of all sources, which are asked at the same time.
const sourceTimeout = 8 * time.Second

// maxAsked limits the sources that are asked at the same time.
const maxAsked = 64

// Discover asks each source of real servers once. It returns the configuration with the servers that they list.
func Discover(ctx context.Context, cfg *config.Config) (*config.Config, []Source) {
	ctx, cancel := context.WithTimeout(ctx, sourceTimeout)
	defer cancel()
	wanted := cfg.Sources()
	keys := slices.Sorted(maps.Keys(wanted))
	answers := make([]Source, len(keys))
	lists := pool.Lists{}
	var mu sync.Mutex
	var running sync.WaitGroup
	room := make(chan struct{}, maxAsked)
	for i, key := range keys {
		room <- struct{}{}
		running.Go(func() {
			defer func() { <-room }()
			servers, err := discovery.Ask(ctx, wanted[key])
			mu.Lock()
			defer mu.Unlock()
			answers[i] = Source{Name: wanted[key].String(), Listed: len(servers), Err: err}
			if err == nil {
				lists[key] = pool.List(nil).Next(servers, time.Now())
			}
		})
	}
	running.Wait()
	expanded, expansions := pool.ExpandAll(cfg, lists, time.Now())
	for _, e := range expansions {
		for i, key := range keys {
			for _, one := range e.Ignored[key] {
				answers[i].Ignored = append(answers[i].Ignored, fmt.Sprintf("%s in virtual_service %q: %s", one.Server, e.Service.Name, one.Why))
			}
		}
	}
	return expanded, answers
}

// maxIgnored limits the ignored servers that are reported of a source.
const maxIgnored = 5

// serverSources reports what the sources of real servers have answered.
func serverSources(_ *config.Config, o *Observed) []Finding {
	var out []Finding
	for _, s := range o.Sources {
		if s.Err != nil {
			out = append(out, Finding{Code: "discovery-failed", Severity: Warning, Subject: s.Name,
				What: fmt.Sprintf("discover %s: %s", s.Name, s.Err),
				Why:  "the last good list stays in use while its source fails; there is none after a reboot"})
			continue
		}
		for i, text := range s.Ignored {
			if i == maxIgnored {
				break
			}
			out = append(out, Finding{Code: "discovery-ignored", Severity: Warning, Subject: s.Name,
				What: fmt.Sprintf("discover %s lists a server that cannot be used: %s", s.Name, text), Why: "it gets no traffic"})
		}
	}
	if len(out) == 0 && len(o.Sources) > 0 {
		out = append(out, ok("discovery", "all sources of real servers have answered"))
	}
	return out
}
