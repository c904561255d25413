package speaker

import (
	"net"
	"sync/atomic"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// holder represents a router in the keeper and the announcer, from its start to its end. A later router with the same key
// has another holder.
type holder struct {
	key            routerKey
	vmac           string        // the macvlan; empty: none
	announced      atomic.Uint64 // ARP and NA packets
	restored       atomic.Uint64 // addresses restored
	routesRestored atomic.Uint64
	refused        refusals // as last reported; used only by the keeper
}

// mac returns the router's virtual MAC address.
func (h *holder) mac() net.HardwareAddr {
	mac := vrrp.MACAddress(h.key.Family, h.key.VirtualRouterID)
	return mac[:]
}
