package api

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// Conflict is evidence that another node is also master of an instance, or has one of its addresses.
type Conflict struct {
	Kind            vrrp.ConflictKind `json:"kind"`
	Address         netip.Addr        `json:"address,omitzero"`            // the virtual address, if one is concerned
	Router          netip.Addr        `json:"router,omitzero"`             // source of the other node's adverts
	Hardware        string            `json:"hardware,omitempty"`          // MAC address of the other node
	VirtualRouterID uint8             `json:"virtual_router_id,omitempty"` // in the other node's adverts
	Priority        uint8             `json:"priority,omitempty"`          // in the other node's last advert
	Reason          string            `json:"reason,omitempty"`            // why the other node's adverts are refused; a drop reason
	Since           time.Time         `json:"since"`
	Last            time.Time         `json:"last"`
	Count           uint64            `json:"count"` // packets
}

// Causes returns the conflicts of an instance that need a remedy of their own: other masters first, and without other hosts that
// answer for an address because they are master.
func Causes(list []Conflict) (causes []Conflict) {
	masters := map[string]bool{} // by MAC address, as far as it is known
	for _, c := range list {
		if c.isMaster() {
			causes, masters[c.Hardware] = append(causes, c), true
		}
	}
	for _, c := range list {
		switch {
		case c.isMaster():
		case c.Kind == vrrp.ConflictAddress:
			if !masters[c.Hardware] && !masters[""] {
				causes = append(causes, c)
			}
		default:
			causes = append(causes, c)
		}
	}
	return causes
}

// isMaster reports whether the evidence is another master's adverts for this virtual router.
func (c Conflict) isMaster() bool {
	return c.Kind == vrrp.ConflictMaster || c.Kind == vrrp.ConflictHidden || c.Kind == vrrp.ConflictRefused
}

// What describes the conflict with its evidence.
func (c Conflict) What() string {
	other := fmt.Sprintf("router %s (priority %d)", c.Router, c.Priority)
	switch c.Kind {
	case vrrp.ConflictMaster:
		return fmt.Sprintf("two masters: %s does not yield", other)
	case vrrp.ConflictHidden:
		return fmt.Sprintf("two masters: a packet filter on this node drops the adverts of %s, MAC address %s", other, c.Hardware)
	case vrrp.ConflictRefused:
		return fmt.Sprintf("two masters: the adverts of %s are refused: %s", other, c.Reason)
	case vrrp.ConflictRouterID:
		return fmt.Sprintf("%s advertises %s with virtual_router_id %d", other, c.Address, c.VirtualRouterID)
	case vrrp.ConflictAddress:
		return fmt.Sprintf("another host, MAC address %s, answers for %s", c.Hardware, c.Address)
	}
	return fmt.Sprintf("conflict %s with %s", c.Kind, other)
}

// Remedy returns what to do about it.
func (c Conflict) Remedy() string {
	switch c.Kind {
	case vrrp.ConflictMaster:
		return "find out why it does not receive this node's adverts: look for packet filters and switches that drop protocol 112, and compare the configurations"
	case vrrp.ConflictHidden:
		return "allow IP protocol 112 in the packet filter of this node"
	case vrrp.ConflictRefused:
		if c.Reason == vrrp.DropInstanceVersion.String() {
			return "set the same version on both routers; keepalived uses version 2 unless vrrp_version is set"
		}
		return "set the same version, interval, authentication, checksum and kind of peers on both routers"
	case vrrp.ConflictRouterID:
		return "set the same virtual_router_id on both directors"
	case vrrp.ConflictAddress:
		return "if it is the peer, let adverts pass between the nodes; otherwise remove the address there, on a real server for direct routing with lvs-ha realserver up"
	}
	return "compare the configurations of both directors"
}
