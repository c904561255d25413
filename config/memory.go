package config

import (
	"runtime/debug"
	"runtime/metrics"
	"sync"
)

// loadBytes is what the process may take beyond what it has while a configuration is loaded. Up to maxHeld of it are in use; the
// rest is what collections of garbage leave. Without a limit there would be as much garbage as is in use.
const loadBytes = 176 << 20

// loads are the loads that are under way. The limit of the process is changed by the first and restored by the last.
var loads struct {
	sync.Mutex
	count  int
	before int64
}

// limitMemory makes the runtime collect garbage earlier, until restore is called.
func limitMemory() (restore func()) {
	loads.Lock()
	defer loads.Unlock()
	if loads.count++; loads.count == 1 {
		samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
		metrics.Read(samples)
		loads.before = debug.SetMemoryLimit(-1)
		debug.SetMemoryLimit(min(loads.before, int64(samples[0].Value.Uint64()-samples[1].Value.Uint64())+loadBytes))
	}
	return func() {
		loads.Lock()
		defer loads.Unlock()
		if loads.count--; loads.count == 0 {
			debug.SetMemoryLimit(loads.before)
		}
	}
}
