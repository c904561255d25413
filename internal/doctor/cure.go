package doctor

import (
	"context"

	"github.com/lvs-ha/lvs-ha/config"
)

// Machine is what is examined and mended.
type Machine interface {
	// Observe looks at everything that checks ask for. What it cannot see it notes in Observed.Unseen.
	Observe(ctx context.Context, cfg *config.Config) *Observed
	Fix(ctx context.Context, f Fix) error
}

// Cure makes the fixes of all findings, and notes in each how that went.
func Cure(ctx context.Context, m Machine, findings []Finding) []Finding {
	for i := range findings {
		f := &findings[i]
		for _, fix := range f.Fixes {
			if err := m.Fix(ctx, fix); err != nil {
				f.FixError = err.Error()
				break
			}
		}
		f.Fixed = len(f.Fixes) > 0 && f.FixError == ""
	}
	return findings
}
