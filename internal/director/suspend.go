package director

import (
	"maps"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/pool"
	"github.com/lvs-ha/lvs-ha/ipvs"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// suspendedServices returns the services whose checks run only on the master of their address, which this director is not.
func suspendedServices(cfg *config.Config, instances map[string]vrrp.Status) map[ipvs.ServiceKey]bool {
	var suspended map[ipvs.ServiceKey]bool
	for _, vs := range cfg.Services {
		if vs.CheckOn != config.OnMaster || isMasterOf(cfg, instances, vs) {
			continue
		}
		if suspended == nil {
			suspended = map[ipvs.ServiceKey]bool{}
		}
		suspended[vs.ServiceKey] = true
	}
	return suspended
}

func isMasterOf(cfg *config.Config, instances map[string]vrrp.Status, vs config.VirtualService) bool {
	for _, v := range cfg.VRRP {
		if s := instances[v.Name].State; s != vrrp.Master && s != vrrp.Leaving {
			continue
		}
		for _, a := range v.Addresses {
			if a.Prefix.Addr() == vs.Address {
				return true
			}
		}
	}
	return false
}

// reviewSuspended starts and stops checks after instances have changed their state. As after a reload, the servers stay as they are in
// the table until there are results.
func (d *Director) reviewSuspended() {
	now := suspendedServices(d.cfg, d.vrrp)
	if maps.Equal(now, d.suspended) {
		return
	}
	d.suspended, d.adopting, d.touched.all = now, true, true
	d.setServers(d.cfg)
}

// stillAdopted returns what is adopted of suspended services, whose checks will have no results.
func (d *Director) stillAdopted() pool.Adopted {
	if len(d.suspended) == 0 {
		return nil
	}
	rest := pool.Adopted{}
	for server, weight := range d.adopted {
		if d.suspended[server.Service] {
			rest[server] = weight
		}
	}
	return rest
}

// suspended returns the services of a configuration that a running director would not check.
func (s standing) suspended(cfg *config.Config) map[ipvs.ServiceKey]bool {
	if s.inForce == nil {
		return nil
	}
	return suspendedServices(cfg, s.vrrp)
}
