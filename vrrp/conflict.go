package vrrp

import (
	"net/netip"
	"time"
)

// Conflict is evidence that another node is also acting as master, or uses a virtual address of which this node is master.
type Conflict struct {
	Kind            ConflictKind `json:"kind"`
	Address         netip.Addr   `json:"address,omitzero"`            // the virtual address, if the conflict concerns one
	Router          netip.Addr   `json:"router,omitzero"`             // source of the other's adverts
	Hardware        string       `json:"hardware,omitempty"`          // the other's MAC address
	VirtualRouterID uint8        `json:"virtual_router_id,omitempty"` // of the other's adverts
	Priority        uint8        `json:"priority,omitempty"`          // of the other's last advert
	Reason          string       `json:"reason,omitempty"`            // why the other's adverts are refused
	Since           time.Time    `json:"since"`
	Last            time.Time    `json:"last"`
	Count           uint64       `json:"count"` // packets
}

// Same reports whether two are about the same other host, whenever it was seen.
func (c Conflict) Same(o Conflict) bool {
	return c.Kind == o.Kind && c.Address == o.Address && c.Router == o.Router && c.Hardware == o.Hardware && c.VirtualRouterID == o.VirtualRouterID &&
		c.Reason == o.Reason
}

// ConflictKind is a kind of conflict.
type ConflictKind string

// The kinds.
const (
	ConflictMaster   ConflictKind = "another-master"  // another master's adverts arrive, and it does not yield
	ConflictHidden   ConflictKind = "hidden-adverts"  // another master's adverts reach the interface, but not this process: a packet filter drops them
	ConflictRefused  ConflictKind = "refused-adverts" // another master's adverts for the address are refused because the settings differ
	ConflictRouterID ConflictKind = "other-router-id" // adverts with another virtual router id list the address
	ConflictAddress  ConflictKind = "address-in-use"  // another host answers for the address
)
