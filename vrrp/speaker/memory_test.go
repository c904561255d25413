package speaker

import (
	"testing"
	"testing/synctest"
	"time"
)

// Memory is returned once after a series of changes, not during it.
func TestMemoryIsTidiedWhenCalm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Duration
		began := time.Now()
		m := &memory{newWakeup(), func() { at = append(at, time.Since(began)) }}
		go m.run(t.Context())
		for range 4 {
			time.Sleep(calmAfter - time.Second)
			m.wake.notify()
		}
		time.Sleep(time.Hour)
		if last := 4 * (calmAfter - time.Second); len(at) != 1 || at[0] != last+calmAfter {
			t.Errorf("tidied after %v, want once, %s after %s", at, calmAfter, last)
		}
	})
}

// A small heap may grow by gcPercent, as before; a larger one by about heapRoom; and one larger than that doubles.
func TestGCPercent(t *testing.T) {
	for live, want := range map[uint64]int{0: gcPercent, 1 << 20: gcPercent, heapRoom / 4: gcPercent, 8 << 20: 150, heapRoom: 100, 1 << 30: 100} {
		if got := percentFor(live); got != want {
			t.Errorf("%d bytes: %d, want %d", live, got, want)
		}
	}
}
