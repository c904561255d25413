package director

import (
	"context"
	"slices"
	"time"
)

// The kernel does not report changes of IPVS. While it is cheap, everything is compared far more often than each repair
// interval.
const (
	minRepairPause = 250 * time.Millisecond
	repairPauses   = 100 // of the time that a comparison takes: it uses at most 1 % of a CPU

	// comparisons is of how many the fastest counts: the others may have waited for other programs.
	comparisons = 5
)

// repairAll brings the whole kernel state to the wanted one, and schedules the next time.
func (d *Director) repairAll(ctx context.Context) {
	began := time.Now()
	d.settled()
	d.touched.everything()
	d.reconcile(ctx)
	d.compared = append(d.compared, time.Since(began))
	if len(d.compared) > comparisons {
		d.compared = d.compared[1:]
	}
	d.repair.Reset(d.untilRepair(slices.Min(d.compared)))
}

// untilRepair is the pause after a comparison that took so long. What failed is retried with increasing pauses of its own.
func (d *Director) untilRepair(took time.Duration) time.Duration {
	if d.kernel == nil || len(d.retries.parts) > 0 {
		return d.cfg.Director.Repair
	}
	return min(max(repairPauses*took, minRepairPause), d.cfg.Director.Repair)
}
