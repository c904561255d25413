package speaker

import "sync/atomic"

// holder represents a router in the keeper and the announcer, from its start to its end. A later router with the same key
// has another holder.
type holder struct {
	key            routerKey
	announced      atomic.Uint64 // ARP and NA packets
	restored       atomic.Uint64 // addresses restored
	routesRestored atomic.Uint64
	refused        refusals // as last reported; used only by the keeper
}
