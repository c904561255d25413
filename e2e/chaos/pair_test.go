package chaos

import (
	"strconv"
	"testing"

	"github.com/lvs-ha/lvs-ha/internal/lab"
)

// TestPairTroubles plays some rounds and requires the pair to be healthy after each. Budgets are checked by `make soak`, on a
// machine that runs nothing else. LVS_HA_SEED and LVS_HA_TIMES select the seed and the number of rounds.
func TestPairTroubles(t *testing.T) {
	lab.Need(t, lab.Pair)
	seed, times := lab.Seed(t, 8)
	binary, err := lab.Binary()
	if err != nil {
		t.Fatal(err)
	}
	p, err := NewPair(t.Context(), binary)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Log(err)
		}
	})
	var report Report
	for number := 1; number <= times; number++ {
		t.Run(strconv.Itoa(number), func(t *testing.T) {
			r := p.Play(t.Context(), Round(seed, number, Troubles()))
			report.Add(r)
			t.Logf("%s: %s; %q", r.Schedule, r.Seen, r.Broken)
			if !r.Lost {
				return
			}
			t.Errorf("not all is right again: %q\n%s", r.Broken, r.Log)
			if err := p.PowerCycle(t.Context()); err != nil {
				t.Fatal(err)
			}
		})
	}
	t.Logf("\n%s", &report)
	if report.together.rounds+len(report.alone) == 0 {
		t.Error("nothing happened")
	}
}
