package ipvstest

import (
	"slices"
	"syscall"

	"github.com/lvs-ha/lvs-ha/ipvs"
)

// change carries out a step or refuses it as the kernel would (net/netfilter/ipvs/ip_vs_ctl.c).
func (k *Kernel) change(s ipvs.Step) syscall.Errno {
	i := slices.IndexFunc(k.table, func(e ipvs.ServiceState) bool { return e.ServiceKey == s.Service.ServiceKey })
	if s.Action == ipvs.AddService {
		if i >= 0 {
			return syscall.EEXIST
		}
		k.table = append(k.table, ipvs.ServiceState{Service: s.Service})
		return 0
	}
	if i < 0 {
		return syscall.ESRCH
	}
	switch s.Action {
	case ipvs.EditService:
		k.table[i].Service = s.Service
		return 0
	case ipvs.DeleteService:
		k.table = slices.Delete(k.table, i, i+1)
		return 0
	}
	return changeDestination(&k.table[i], s)
}

func changeDestination(of *ipvs.ServiceState, s ipvs.Step) syscall.Errno {
	d := s.Destination
	i := slices.IndexFunc(of.Destinations, func(e ipvs.DestinationState) bool { return e.DestinationKey == d.DestinationKey })
	if s.Action == ipvs.DeleteDestination {
		if i < 0 {
			return syscall.ENOENT
		}
		of.Destinations = slices.Delete(of.Destinations, i, i+1)
		return 0
	}
	// What is wrong in itself is refused before the server is looked for.
	switch {
	case d.Address.Is4() != (of.Family == ipvs.IPv4) && d.Forward != ipvs.Tunnel:
		return syscall.EINVAL
	case d.Weight > 1<<31-1, d.LowerThreshold > d.UpperThreshold:
		return syscall.ERANGE
	case s.Action == ipvs.AddDestination && i >= 0:
		return syscall.EEXIST
	case s.Action == ipvs.EditDestination && i < 0:
		return syscall.ENOENT
	}
	if i < 0 {
		of.Destinations = append(of.Destinations, ipvs.DestinationState{Destination: d})
	} else {
		of.Destinations[i].Destination = d
	}
	return 0
}
