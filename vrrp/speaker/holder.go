package speaker

import "sync/atomic"

// holder is a router as keeper and announcer know it, from its start to its end. A later router with the same key is
// another holder.
type holder struct {
	key       routerKey
	announced atomic.Uint64 // ARP and NA packets
	restored  atomic.Uint64 // addresses put back
	refused   refusals      // as last reported; the keeper's own
}
