package speaker

import (
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Memory is returned once after a series of changes, not during it.
func TestMemoryIsTidiedWhenCalm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		tidied := make(chan time.Duration, 10)
		var waste atomic.Int64
		tidy := func() {
			tidied <- time.Since(began)
			waste.Store(0)
		}
		m := &memory{newWakeup(), tidy, func() int { return int(waste.Load()) }}
		go m.run(t.Context())
		for range 4 {
			time.Sleep(calmAfter - time.Second)
			m.wake.notify()
		}
		last := time.Since(began)
		time.Sleep(time.Hour)
		synctest.Wait()
		if at := <-tidied; at != last+calmAfter || len(tidied) != 0 {
			t.Errorf("tidied after %v and %d times later, want once, %s after %s", at, len(tidied), calmAfter, last)
		}
		waste.Store(calmGarbage + 1)
		last = time.Since(began)
		time.Sleep(time.Hour)
		synctest.Wait()
		if at := <-tidied; at > last+calmInterval || len(tidied) != 0 {
			t.Errorf("tidied after %v and %d times later, want once, within %s of %s", at, len(tidied), calmInterval, last)
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
