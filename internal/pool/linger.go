package pool

import (
	"cmp"
	"slices"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/ipvs"
)

// Leaving is a server that must not be in the table any more, and keeps its connections for a time.
type Leaving struct {
	Destination ipvs.Destination // with weight 0
	Until       time.Time
}

// linger keeps the servers of the kernel's table that must leave it there, with weight 0, until the linger time of the service is over:
// requests in progress come to their end. It keeps none that an operator has removed, and none that is no longer configured and had weight
// 0 already. A restart forgets since when a server has been leaving: it leaves at once, or after the whole time.
func (in *Inputs) linger(v *Verdict, vs *config.VirtualService) {
	former := in.Memories[vs.ServiceKey].Leaving
	if vs.Linger <= 0 || len(former) == 0 && len(in.Table[vs.ServiceKey]) == 0 {
		return
	}
	members := make(map[ipvs.DestinationKey]bool, len(v.Members)) // true: must not linger
	for _, m := range v.Members {
		members[m.Destination.DestinationKey] = m.InTable || m.Reason == Disabled
	}
	keep := func(l Leaving) {
		if v.Memory.Leaving == nil {
			v.Memory.Leaving = map[ipvs.DestinationKey]Leaving{}
		}
		v.Memory.Leaving[l.Destination.DestinationKey] = l
		v.Leaving = append(v.Leaving, l)
		v.changesAt(l.Until)
	}
	for key, l := range former {
		if !members[key] && in.Now.Before(l.Until) {
			keep(l)
		}
	}
	for _, d := range in.Table[vs.ServiceKey] {
		_, known := former[d.DestinationKey]
		stays, member := members[d.DestinationKey]
		if known || stays || !member && d.Weight == 0 {
			continue
		}
		d.Destination.Weight = 0
		keep(Leaving{d.Destination, in.Now.Add(vs.Linger)})
	}
	slices.SortFunc(v.Leaving, func(a, b Leaving) int {
		return cmp.Or(a.Destination.Address.Compare(b.Destination.Address), cmp.Compare(a.Destination.Port, b.Destination.Port))
	})
}
