package config

import (
	"runtime/debug"
	"runtime/metrics"
	"sync"
)

// loadBytes limits the memory that loading a configuration takes in addition to what the process has. Up to maxHeld of it is
// in use, the rest is garbage.
const loadBytes = 176 << 20

// loadGCPercent is how much garbage accumulates below that limit, in percent of what is in use. Go's default of 100
// costs an eighth more CPU time in a reload of 40,000 real servers.
const loadGCPercent = 200

// loads are the loads that are under way. The limit of the process is changed by the first and restored by the last.
var loads struct {
	sync.Mutex
	count   int
	limit   int64 // before
	percent int   // before
}

// limitMemory makes the runtime collect garbage less often, but keep to the limit, until restore is called.
func limitMemory() (restore func()) {
	loads.Lock()
	defer loads.Unlock()
	if loads.count++; loads.count == 1 {
		samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
		metrics.Read(samples)
		loads.limit = debug.SetMemoryLimit(-1)
		loads.percent = debug.SetGCPercent(loadGCPercent)
		debug.SetMemoryLimit(min(loads.limit, int64(samples[0].Value.Uint64()-samples[1].Value.Uint64())+loadBytes))
	}
	return func() {
		loads.Lock()
		defer loads.Unlock()
		if loads.count--; loads.count == 0 {
			debug.SetGCPercent(loads.percent)
			debug.SetMemoryLimit(loads.limit)
		}
	}
}
