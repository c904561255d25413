package pool

import (
	"maps"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/ipvs"
)

// Server identifies a real server of a virtual service.
type Server struct {
	Service     ipvs.ServiceKey
	Destination ipvs.DestinationKey
}

// Adopted has the weights of the real servers that were in the kernel's table when a configuration was applied. A server keeps
// its state until its checks have first results, so that a restart or reload interrupts nothing.
type Adopted map[Server]uint32

// Adopt returns the weights of the services' real servers in the kernel's table.
func Adopt(services []config.VirtualService, table []ipvs.ServiceState) Adopted {
	configured := make(map[ipvs.ServiceKey]bool, len(services))
	for _, vs := range services {
		configured[vs.ServiceKey] = true
	}
	adopted := Adopted{}
	for _, s := range table {
		if !configured[s.ServiceKey] {
			continue
		}
		for _, d := range s.Destinations {
			adopted[Server{s.ServiceKey, d.DestinationKey}] = d.Weight
		}
	}
	return adopted
}

// Without returns what is still adopted after a verdict: a server that has failed a check does not return with its adopted
// weight while another check has no result yet.
func (a Adopted) Without(v Verdict) Adopted {
	rest := a
	for _, m := range v.Members {
		server := Server{v.Service.ServiceKey, m.Destination.DestinationKey}
		if _, found := rest[server]; !found || m.State != healthcheck.Down {
			continue
		}
		if len(rest) == len(a) {
			rest = maps.Clone(a) // the old map may be in use by readers
		}
		delete(rest, server)
	}
	return rest
}
