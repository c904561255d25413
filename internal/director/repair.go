package director

import (
	"context"
	"slices"
	"time"
)

// The kernel does not report changes of IPVS. If a full comparison is cheap, it is done far more often than each repair
// interval.
const (
	minRepairPause = 250 * time.Millisecond
	repairPauses   = 100 // pause relative to the duration of a comparison, which then uses at most 1 % of a CPU

	// comparisons is the number of durations of which the minimum is used: the others may include waiting for the CPU.
	comparisons = 5
)

// repairAll reconciles the whole kernel state, and schedules the next time.
func (d *Director) repairAll(ctx context.Context) {
	began := time.Now()
	d.dropAdopted()
	d.touched.everything()
	d.reconcile(ctx)
	d.compared = append(d.compared, time.Since(began))
	if len(d.compared) > comparisons {
		d.compared = d.compared[1:]
	}
	d.repair.Reset(d.untilRepair(slices.Min(d.compared)))
}

// untilRepair returns the pause after a comparison that took the given time. Failed parts are retried separately, at increasing
// intervals.
func (d *Director) untilRepair(took time.Duration) time.Duration {
	if d.kernel == nil || len(d.retries.parts) > 0 {
		return d.cfg.Director.Repair
	}
	return min(max(repairPauses*took, minRepairPause), d.cfg.Director.Repair)
}
