package speaker

import (
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

// Memory is returned once after a series of changes, not during it.
func TestMemoryIsTidiedWhenCalm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Duration
		began := time.Now()
		waste := 0
		m := &memory{newWakeup(), func() { at, waste = append(at, time.Since(began)), 0 }, func() int { return waste }}
		go m.run(t.Context())
		for range 4 {
			time.Sleep(calmAfter - time.Second)
			m.wake.notify()
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if last := 4 * (calmAfter - time.Second); len(at) != 1 || at[0] != last+calmAfter {
			t.Errorf("tidied after %v, want once, %s after %s", at, calmAfter, last)
		}
		waste = calmGarbage + 1
		time.Sleep(time.Hour)
		synctest.Wait()
		if len(at) != 2 || at[1]-at[0] > time.Hour+calmInterval {
			t.Errorf("tidied after %v, want a second time within %s", at, calmInterval)
		}
	})
}

// A small heap may grow by gcPercent, as before; a larger one by about heapRoom; and one larger than that doubles.
func TestGCPercent(t *testing.T) {
	for live, want := range map[uint64]int{0: gcPercent, 1 << 20: gcPercent, heapRoom / 4: gcPercent, 8 << 20: 200, heapRoom: 100, 1 << 30: 100} {
		if got := percentFor(live); got != want {
			t.Errorf("%d bytes: %d, want %d", live, got, want)
		}
	}
}

// An instance takes few kilobytes: a process has thousands of them, and its heap may grow to several times what is in use.
func TestMemoryOfAnInstance(t *testing.T) {
	inUse := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC() // and what a sync.Pool has kept
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	g := newRig(t)
	g.quiet = true
	g.record()
	g.up("eth0", 2, "10.9.0.1/24")
	instances := fullHouse(200, time.Second)
	before := inUse()
	g.want(instances...)
	g.advance(5 * time.Second)
	const most = 8 << 10
	if each := (inUse() - before) / int64(len(instances)); each > most {
		t.Errorf("a master takes %d bytes, want at most %d", each, most)
	}
	runtime.KeepAlive(g)
}
