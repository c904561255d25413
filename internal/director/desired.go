package director

import (
	"slices"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/ipvs"
)

// serverKey identifies a real server of a virtual service.
type serverKey struct {
	service ipvs.ServiceKey
	server  ipvs.DestinationKey
}

// health is what the results of each check amount to, by target key.
type health map[string]healthcheck.Health

// server is the judgement on a real server: all its checks must pass. One that is not known yet leaves it unknown,
// unless another already fails.
func (h health) server(targets []healthcheck.Target) healthcheck.State {
	judged := healthcheck.Up
	for _, t := range targets {
		switch h[t.Key()].State {
		case healthcheck.Down:
			return healthcheck.Down
		case healthcheck.Unknown:
			judged = healthcheck.Unknown
		}
	}
	return judged
}

// checksOf are the specs of a real server's checks: its own, or else its service's.
func checksOf(vs config.VirtualService, rs config.RealServer) []healthcheck.Spec {
	if len(rs.Checks) > 0 {
		return rs.Checks
	}
	return vs.Checks
}

// targetsOf are the checks of a real server with the endpoint each one probes.
func targetsOf(vs config.VirtualService, rs config.RealServer) []healthcheck.Target {
	specs := checksOf(vs, rs)
	targets := make([]healthcheck.Target, 0, len(specs))
	for _, spec := range specs {
		targets = append(targets, healthcheck.NewTarget(rs.Address, rs.Port, spec))
	}
	return targets
}

// desired computes the IPVS table that the configuration and the checks ask for. kept holds the real servers that a
// restart found in the kernel: each stays as it was found until its checks have a first result.
func desired(cfg *config.Config, known health, kept map[serverKey]ipvs.Destination) []ipvs.Entry {
	table := make([]ipvs.Entry, 0, len(cfg.Services))
	for _, vs := range cfg.Services {
		table = append(table, desiredEntry(vs, known, kept))
	}
	return table
}

func desiredEntry(vs config.VirtualService, known health, kept map[serverKey]ipvs.Destination) ipvs.Entry {
	entry := ipvs.Entry{Service: vs.Service, Destinations: make([]ipvs.Destination, 0, len(vs.RealServers))}
	for _, rs := range vs.RealServers {
		want := rs.Destination
		switch known.server(targetsOf(vs, rs)) {
		case healthcheck.Up:
		case healthcheck.Unknown:
			if found, ok := kept[serverKey{vs.ServiceKey, rs.DestinationKey}]; ok {
				want.Weight = found.Weight
				break
			}
			fallthrough
		default:
			if vs.OnFailure != config.Weight {
				continue
			}
			want.Weight = 0
		}
		entry.Destinations = append(entry.Destinations, want)
	}
	return entry
}

// targets are all checks of a configuration, each once.
func targets(cfg *config.Config) []healthcheck.Target {
	var all []healthcheck.Target
	seen := map[string]bool{}
	for _, vs := range cfg.Services {
		for _, rs := range vs.RealServers {
			for _, t := range targetsOf(vs, rs) {
				if key := t.Key(); !seen[key] {
					seen[key] = true
					all = append(all, t)
				}
			}
		}
	}
	return all
}

// adopt picks the real servers of the configuration that the kernel already has.
func adopt(cfg *config.Config, actual []ipvs.ServiceState) map[serverKey]ipvs.Destination {
	kept := map[serverKey]ipvs.Destination{}
	for _, vs := range cfg.Services {
		i := slices.IndexFunc(actual, func(s ipvs.ServiceState) bool { return s.ServiceKey == vs.ServiceKey })
		if i < 0 {
			continue
		}
		for _, d := range actual[i].Destinations {
			kept[serverKey{vs.ServiceKey, d.DestinationKey}] = d.Destination
		}
	}
	return kept
}
