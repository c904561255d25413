package onecpu

import (
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/lab"
)

// TestHostTimedMeasures measures the cheapest cell briefly to keep the measurement working.
func TestHostTimedMeasures(t *testing.T) {
	lab.Need(t, lab.Host)
	binary, err := lab.Binary()
	if err != nil {
		t.Fatal(err)
	}
	f, err := Run(t.Context(), binary, Cell{Instances: 1, Interval: 100 * time.Millisecond, Load: Garbage, Place: Namespaces}, 2*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("\n%s\n%s", Heading, f)
	if f.Adverts < 10 || f.Garbage < GarbageRate || f.Gap <= 0 || f.Missed > 0 {
		t.Errorf("measured %+v", f)
	}
}
