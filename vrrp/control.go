package vrrp

import (
	"net/netip"
	"time"
)

// Wanted is the complete state that the director requests from the speaker. It is level-triggered: each message
// replaces the previous one, and whatever already matches is left alone.
type Wanted struct {
	DirectorGrace time.Duration    `json:"director_grace"` // the speaker hands over after this time without a director
	Instances     []WantedInstance `json:"instances"`
}

// WantedInstance is an instance with what the director adds to its configuration.
type WantedInstance struct {
	Instance
	Group  string  `json:"group,omitempty"`  // the sync group
	Tracks []Track `json:"tracks,omitempty"` // those that the director watches
}

// State is a virtual router's state. Its text is RFC 9568's.
type State string

// The states.
const (
	Initialize State = "INITIALIZE" // not taking part: Status.Reason names what it waits for
	Backup     State = "BACKUP"
	Master     State = "MASTER"
	Leaving    State = "LEAVING" // has sent priority 0, still answers and forwards until the next master is heard
)

// Status is the speaker's report on one instance: sent complete at each change, and for every instance when a
// director connects or asks.
type Status struct {
	Name              string            `json:"name"`
	Interface         string            `json:"interface"`
	VirtualRouterID   uint8             `json:"virtual_router_id"`
	Family            Family            `json:"family"`
	Version           uint8             `json:"version"`
	State             State             `json:"state"`
	Reason            string            `json:"reason"` // a named reason of the last transition, e.g. "master-down-timer"
	Since             time.Time         `json:"since"`
	Priority          uint8             `json:"priority"`           // configured
	EffectivePriority uint8             `json:"effective_priority"` // with tracks
	MasterAddress     string            `json:"master_address,omitempty"`
	MasterPriority    uint8             `json:"master_priority,omitempty"`
	AdvertiseInterval time.Duration     `json:"advertise_interval"` // in use; a v3 backup adopts the master's
	SkewTime          time.Duration     `json:"skew_time"`
	MasterDownTime    time.Duration     `json:"master_down_interval"`
	PreemptHeld       string            `json:"preempt_held,omitempty"` // why a backup leaves a master of lower priority alone
	Group             string            `json:"group,omitempty"`        // the sync group
	Tracks            []Track           `json:"tracks,omitempty"`
	Conflicts         []Conflict        `json:"conflicts,omitempty"` // of a master
	Transitions       uint64            `json:"transitions"`         // times it became master
	AdvertsSent       uint64            `json:"adverts_sent"`
	AdvertsReceived   uint64            `json:"adverts_received"`
	AnnouncesSent     uint64            `json:"announcements_sent"`           // ARP and NA packets
	Dropped           map[string]uint64 `json:"dropped,omitempty"`            // by named reason
	AddressesRefused  []string          `json:"addresses_refused,omitempty"`  // which, where, the kernel's error and the remedy
	AddressesRestored uint64            `json:"addresses_restored"`           // restored after another program deleted them
	AddressesFound    uint64            `json:"addresses_found,omitempty"`    // times that some were found on a backup
	SendErrors        uint64            `json:"send_errors,omitempty"`        // adverts that the kernel refused
	AddressMismatches uint64            `json:"address_mismatches,omitempty"` // adverts that counted, with other addresses than ours
	InterfaceDropped  map[string]uint64 `json:"interface_dropped,omitempty"`  // packets on the interface for no instance; the same in all its instances
	Addresses         []string          `json:"addresses"`                    // prefixes, as configured
	UnicastPeers      []netip.Addr      `json:"unicast_peers,omitempty"`      // as configured; none: multicast. The director adds them
}
