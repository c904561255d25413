package director

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/events"
	"github.com/lvs-ha/lvs-ha/internal/pool"
	"github.com/lvs-ha/lvs-ha/internal/statefile"
	"github.com/lvs-ha/lvs-ha/ipvs"
)

// override is an operator's order for a server, with its circumstances.
type override struct {
	pool.Override
	Since  time.Time `json:"since"`
	Until  time.Time `json:"until,omitzero"` // zero means until it is ended
	By     string    `json:"by,omitempty"`
	Reason string    `json:"reason,omitempty"`
	Keep   bool      `json:"keep,omitempty"` // survives a restart of lvs-ha
}

// savedOverride is an override in its file.
type savedOverride struct {
	Service ipvs.ServiceKey     `json:"service"`
	Server  ipvs.DestinationKey `json:"server"`
	override
}

// overridesFormat is the format of the file with the overrides in force.
var overridesFormat = statefile.Format{Kind: "overrides", Version: 1, Limit: 64 << 20}

func overridesFile(stateFile string) string {
	return filepath.Join(filepath.Dir(stateFile), "overrides.json")
}

// recallOverrides reads the overrides that were in force when the last director ended: all of them if it was lost, and
// otherwise those that are to be kept.
func (d *Director) recallOverrides() {
	list, err := recallBy[[]savedOverride](overridesFormat.ReadOrSetAside, overridesFile(d.StateFile))
	if err != nil {
		d.Logger.Warn("state file ignored; overrides that were in force have ended", "error", err)
	}
	for _, o := range list {
		if o.Keep || d.Restarted {
			d.overrides[pool.Server{Service: o.Service, Destination: o.Server}] = o.override
		}
	}
}

// overridesChanged saves the overrides, and publishes them to the next verdicts.
func (d *Director) overridesChanged() {
	d.orders = make(map[pool.Server]pool.Override, len(d.overrides))
	list := make([]savedOverride, 0, len(d.overrides))
	for server, o := range d.overrides {
		d.orders[server] = o.Override
		list = append(list, savedOverride{server.Service, server.Destination, o})
	}
	d.overridesFile.set(func() ([]byte, error) { return overridesFormat.Encode(list) })
	d.poolsDue.Reset(0)
}

// dropOverrides ends the overrides of servers that are no longer in the configuration. A discovered server may return, and then they
// apply to it.
func (d *Director) dropOverrides() {
	configured := map[pool.Server]bool{}
	for _, vs := range d.cfg.Services {
		for _, rs := range vs.RealServers {
			configured[pool.Server{Service: vs.ServiceKey, Destination: rs.DestinationKey}] = true
		}
	}
	before := len(d.overrides)
	maps.DeleteFunc(d.overrides, func(s pool.Server, _ override) bool {
		_, discovers := d.found.expansions[s.Service]
		return !configured[s] && !discovers
	})
	if d.orders == nil || len(d.overrides) != before {
		d.overridesChanged()
	}
}

// Override gives or ends an operator's orders for servers. It returns when the kernel's table follows them, unless that fails.
func (d *Director) Override(ctx context.Context, request api.OverrideRequest) (api.Overridden, error) {
	var out api.Overridden
	if err := request.Check(); err != nil {
		return out, &api.Error{Status: http.StatusBadRequest, Err: err}
	}
	err := d.do(ctx, func() error {
		matches, err := matchingServers(d.withAbsent(), request.Servers)
		if err != nil {
			return err
		}
		now := time.Now()
		for _, m := range matches {
			out.Servers = append(out.Servers, d.applyOverride(m, request, now))
		}
		d.overridesChanged()
		if d.reviewServiceTracks(now) {
			d.updateSpeaker()
		}
		return nil
	})
	if err != nil {
		return out, err
	}
	return out, d.do(ctx, func() error { return nil }) // the table is reconciled before
}

// withAbsent returns the configuration in force with the servers that are not listed now but have overrides.
func (d *Director) withAbsent() *config.Config {
	cfg := *d.cfg
	cfg.Services = slices.Clone(cfg.Services)
	for server := range d.overrides {
		i := slices.IndexFunc(cfg.Services, func(vs config.VirtualService) bool { return vs.ServiceKey == server.Service })
		if i < 0 || slices.ContainsFunc(cfg.Services[i].RealServers, func(rs config.RealServer) bool { return rs.DestinationKey == server.Destination }) {
			continue
		}
		absent := config.RealServer{Destination: ipvs.Destination{DestinationKey: server.Destination}}
		cfg.Services[i].RealServers = append(slices.Clone(cfg.Services[i].RealServers), absent)
	}
	return &cfg
}

func (d *Director) applyOverride(m match, request api.OverrideRequest, now time.Time) api.OverriddenServer {
	key := pool.Server{Service: m.service.ServiceKey, Destination: m.server.DestinationKey}
	out := api.OverriddenServer{Service: m.service.Name, Server: api.ServerKey(key.Destination), Outcome: api.OverrideInForce}
	d.touched.services([]ipvs.ServiceKey{key.Service})
	_, had := d.overrides[key]
	switch {
	case request.Action == api.OverrideEnable && !had:
		out.Outcome = api.OverrideNone
		return out
	case request.Action == api.OverrideEnable:
		delete(d.overrides, key)
		out.Outcome = api.OverrideEnded
		d.events.Add(events.Event{Time: now, Kind: events.Override, Subject: subjectOf(m.service.Name, key.Destination), To: "ended", By: request.By})
		d.Logger.Info("override ended", "service", m.service.Name, "server", key.Destination, "by", request.By)
		return out
	}
	o := override{Override: pool.Override{Action: pool.OverrideAction(request.Action), Weight: request.Weight}, Since: now, By: request.By, Reason: request.Reason, Keep: request.Keep}
	if request.For > 0 {
		o.Until = now.Add(time.Duration(request.For))
	}
	if request.Deadline > 0 {
		o.Deadline = now.Add(time.Duration(request.Deadline))
	}
	d.overrides[key] = o
	out.Until = o.Until
	to := string(o.Action)
	if o.Action == pool.OverrideWeight {
		to += fmt.Sprintf(" %d", o.Weight)
	}
	d.events.Add(events.Event{Time: now, Kind: events.Override, Subject: subjectOf(m.service.Name, key.Destination), To: to, By: o.By, Reason: o.Reason})
	attributes := []any{"service", m.service.Name, "server", key.Destination, "action", o.Action, "by", o.By}
	if o.Action == pool.OverrideWeight {
		attributes = append(attributes, "weight", o.Weight)
	}
	d.Logger.Info("override set", append(attributes, "reason", o.Reason)...)
	return out
}

// match is a server that a request names.
type match struct {
	service config.VirtualService
	server  config.RealServer
}

// matchingServers returns the servers that match patterns of the form SERVICE/SERVER, each once.
func matchingServers(cfg *config.Config, patterns []string) ([]match, error) {
	var list []match
	seen := map[pool.Server]bool{}
	for _, pattern := range patterns {
		slash := strings.LastIndexByte(pattern, '/')
		if slash < 0 {
			return nil, &api.Error{Status: http.StatusBadRequest, Err: fmt.Errorf("%.200q is not SERVICE/SERVER; for all servers of a service, write %.200q", pattern, pattern+"/*")}
		}
		found := false
		for _, vs := range cfg.Services {
			if ok, err := matches(pattern[:slash], vs.Name); err != nil || !ok {
				if err != nil {
					return nil, err
				}
				continue
			}
			for _, rs := range vs.RealServers {
				ok, err := matches(pattern[slash+1:], namesOf(rs.DestinationKey)...)
				if err != nil {
					return nil, err
				}
				found = found || ok
				key := pool.Server{Service: vs.ServiceKey, Destination: rs.DestinationKey}
				if ok && !seen[key] {
					seen[key] = true
					list = append(list, match{vs, rs})
				}
			}
		}
		if !found {
			return nil, &api.Error{Status: http.StatusNotFound, Err: fmt.Errorf("no real server matches %.200q%s", pattern, hint(cfg))}
		}
	}
	return list, nil
}

// hint lists the services.
func hint(cfg *config.Config) string {
	names := make([]string, 0, len(cfg.Services))
	for _, vs := range cfg.Services {
		names = append(names, vs.Name)
	}
	if len(names) == 0 {
		return ": the configuration has no virtual_service"
	}
	return "; the services are: " + listed(names)
}

// namesOf returns the notations of a server: with its port, and without.
func namesOf(key ipvs.DestinationKey) []string {
	return []string{netip.AddrPortFrom(key.Address, key.Port).String(), key.Address.String()}
}

// matches reports whether a pattern of path.Match matches one of the names. A name matches itself, although that of an IPv6 server
// has brackets.
func matches(pattern string, names ...string) (bool, error) {
	if slices.Contains(names, pattern) {
		return true, nil
	}
	for _, name := range names {
		match, err := path.Match(pattern, name)
		if errors.Is(err, path.ErrBadPattern) {
			return false, &api.Error{Status: http.StatusBadRequest, Err: fmt.Errorf("%.200q is not a valid pattern", pattern)}
		}
		if match {
			return true, nil
		}
	}
	return false, nil
}
