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

	// Afterwards, garbage beyond calmGarbage is collected within calmInterval, and beyond heapRoom within lookInterval. heapRoom is
	// more than a takeover of a thousand instances needs, so that no collection delays it.
	calmInterval = time.Minute
	calmGarbage  = 3 << 20
	lookInterval = 5 * time.Second
	heapRoom     = 16 << 20

	// memoryLimit in bytes is where the runtime collects on its own, unless more than a quarter of it is in use.
	memoryLimit = 64 << 20
)

// memory limits the garbage on the heap of a process that is to be small and seldom collect. The runtime's own collections are off:
// they would come at any time, and every two minutes, with threads of real-time priority that wait for each other.
type memory struct {
	wake    wakeup // the wanted state has changed
	tidy    func()
	garbage func() int // bytes
}

// newMemory returns one that disturbs the loop little.
func newMemory(p *priority) *memory {
	return &memory{newWakeup(), func() { p.aside(func() { alone(tidyMemory) }) }, garbage}
}

// alone runs f so that a collection in it has one thread only, if there is one CPU. With several that mark at the same time, the loop
// waits for them: 50 instances at 10 ms then sent nothing for up to 46 ms.
func alone(f func()) {
	if allowedCPUs() == 1 {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	}
	f()
}

// run tidies after each series of changes, and later if there is garbage, until ctx ends.
func (m *memory) run(ctx context.Context) {
	calm := time.NewTimer(calmAfter)
	look := time.NewTicker(lookInterval)
	defer calm.Stop()
	defer look.Stop()
	for changed := true; ; {
		tidy := false
		select {
		case <-ctx.Done():
			return
		case <-m.wake:
			changed = true
			calm.Reset(calmAfter)
		case <-look.C:
			tidy = m.garbage() > heapRoom
		case <-calm.C:
			tidy = changed || m.garbage() > calmGarbage
			changed = false
			calm.Reset(calmInterval)
		}
		if tidy {
			m.tidy()
		}
	}
}

// garbage returns how much was allocated since the last collection.
func garbage() int {
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/gc/heap/live:bytes"}}
	metrics.Read(s)
	return int(s[0].Value.Uint64()) - int(s[1].Value.Uint64())
}

// tidyMemory returns unused memory to the system.
func tidyMemory() {
	runtime.GC() // before the one of FreeOSMemory: a sync.Pool keeps its buffers for a collection
	debug.FreeOSMemory()
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	debug.SetMemoryLimit(max(memoryLimit, 4*int64(live[0].Value.Uint64())))
}
