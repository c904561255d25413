package wallclock

import (
	"testing"
	"time"
)

// The test kernel sets its clock, see TestKernelClockChangeDoesNotAffectAges in cmd/lvs-ha.
func TestWhereTheClockWasNotSetAMomentStays(t *testing.T) {
	moment := time.Now()
	if got := Told(moment, moment.Add(time.Hour)); got != moment {
		t.Errorf("told as %v, was %v", got, moment)
	}
	if got := Told(time.Time{}, moment); !got.IsZero() {
		t.Errorf("never is told as %v", got)
	}
	if got := Heard(time.Time{}, moment); !got.IsZero() {
		t.Errorf("never is heard as %v", got)
	}
}

func TestAMomentThatWasHeardHasItsAge(t *testing.T) {
	now := time.Now()
	for _, age := range []time.Duration{time.Hour, -time.Minute} {
		moment := now.Add(-age).Round(0)
		heard := Heard(moment, now)
		if !heard.Equal(moment) || heard == heard.Round(0) || now.Sub(heard) != age {
			t.Errorf("%v is heard as %v, %v ago", moment, heard, now.Sub(heard))
		}
	}
}
