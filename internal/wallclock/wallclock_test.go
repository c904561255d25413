package wallclock

import (
	"testing"
	"time"
)

// The test kernel sets its clock, see TestKernelClockChangeDoesNotAffectAges in cmd/lvs-ha.
func TestExportKeepsMomentIfClockWasNotSet(t *testing.T) {
	moment := time.Now()
	if got := Export(moment, moment.Add(time.Hour)); got != moment {
		t.Errorf("exported as %v, was %v", got, moment)
	}
	if got := Export(time.Time{}, moment); !got.IsZero() {
		t.Errorf("the zero time is exported as %v", got)
	}
	if got := Import(time.Time{}, moment); !got.IsZero() {
		t.Errorf("the zero time is imported as %v", got)
	}
}

func TestImportedMomentHasItsAge(t *testing.T) {
	now := time.Now()
	for _, age := range []time.Duration{time.Hour, -time.Minute} {
		moment := now.Add(-age).Round(0)
		got := Import(moment, now)
		if !got.Equal(moment) || got == got.Round(0) || now.Sub(got) != age {
			t.Errorf("%v is imported as %v, %v ago", moment, got, now.Sub(got))
		}
	}
}
