package speaker

import "sync/atomic"

// counters are what other goroutines than the loop count for an instance.
type counters struct {
	announced atomic.Uint64 // ARP and NA packets
	restored  atomic.Uint64 // addresses put back
}
