package pool

import (
	"slices"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/healthcheck"
)

// keepMinimum keeps failed servers in use if too few pass their checks: of those in use until now, the ones that failed last.
func (in *Inputs) keepMinimum(v *Verdict, vs *config.VirtualService) {
	if vs.MinUp == (config.MinUp{}) {
		return
	}
	passing, all := 0, 0
	var failed []int
	former := in.Memories[vs.ServiceKey].InUse
	for i, m := range v.Members {
		if m.Sorry || in.outOfService(vs, m) || !vs.RealServers[i].Unlisted.IsZero() {
			continue
		}
		all++
		key := m.Destination.DestinationKey
		switch {
		case m.InTable && m.Destination.Weight > 0:
			passing++
		case m.State == healthcheck.Down && in.baseWeight(vs, &vs.RealServers[i]) > 0 && (former[key] || in.Adopted[Server{vs.ServiceKey, key}] > 0):
			failed = append(failed, i)
		}
	}
	slices.SortStableFunc(failed, func(a, b int) int { return v.Members[b].Since.Compare(v.Members[a].Since) })
	missing := max(vs.MinUp.Of(all)-passing, 0)
	for _, i := range failed[:min(missing, len(failed))] {
		m := &v.Members[i]
		m.InTable, m.Destination.Weight, m.Reason = true, in.baseWeight(vs, &vs.RealServers[i]), Kept
	}
}
