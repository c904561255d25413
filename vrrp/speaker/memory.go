package speaker

import (
	"context"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// calmAfter is how long after the last change of the wanted state the memory that it needed is returned.
	calmAfter = 10 * time.Second

	// Afterwards, garbage beyond calmGarbage is collected within calmInterval. heapRoom is more than a takeover of a thousand
	// instances needs, so that no collection delays it.
	calmInterval = time.Minute
	calmGarbage  = 3 << 20

	// heapRoom is how much garbage the heap may hold, if gcPercent would allow more, before it is collected. With a thousand
	// instances gcPercent would allow 30 MB.
	heapRoom = 16 << 20

	leastGCPercent = 100
)

// memory limits the garbage on the heap of a process that is to be small and seldom collect.
type memory struct {
	wake    wakeup // the wanted state has changed
	tidy    func()
	garbage func() int // bytes
}

// newMemory returns one that tidies unless there is only one CPU: a collection then delays adverts by up to 40 ms, so it waits until
// gcPercent demands it.
func newMemory(p *priority) *memory {
	tidy := func() {
		if allowedCPUs() > 1 {
			p.aside(tidyMemory)
		}
	}
	return &memory{newWakeup(), tidy, garbage}
}

// run tidies after each series of changes, and later if there is garbage, until ctx ends.
func (m *memory) run(ctx context.Context) {
	timer := time.NewTimer(calmAfter)
	defer timer.Stop()
	for changed := true; ; {
		select {
		case <-ctx.Done():
			return
		case <-m.wake:
			changed = true
			timer.Reset(calmAfter)
		case <-timer.C:
			if changed || m.garbage() > calmGarbage {
				m.tidy()
			}
			changed = false
			timer.Reset(calmInterval)
		}
	}
}

// garbage returns how much was allocated since the last collection.
func garbage() int {
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/gc/heap/live:bytes"}}
	metrics.Read(s)
	return int(s[0].Value.Uint64()) - int(s[1].Value.Uint64())
}

// tidyMemory returns unused memory to the system and adapts the collector to what is in use.
func tidyMemory() {
	runtime.GC() // before the one of FreeOSMemory: a sync.Pool keeps its buffers for a collection
	debug.FreeOSMemory()
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	debug.SetGCPercent(percentFor(live[0].Value.Uint64()))
}

// percentFor returns the heap growth after which to collect, for a number of bytes in use.
func percentFor(live uint64) int {
	return int(min(max(100*heapRoom/max(live, 1), leastGCPercent), gcPercent))
}
