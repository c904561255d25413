package vrrp

import (
	"net/netip"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/histogram"
)

// Wanted is the complete state that the director requests from the speaker. It is level-triggered: each message
// replaces the previous one, and the speaker does not touch what already matches.
type Wanted struct {
	DirectorGrace time.Duration    `json:"director_grace"` // the speaker hands over after this time without a director
	Instances     []WantedInstance `json:"instances"`
	Static        Static           `json:"static,omitzero"`

	AnnounceLimits []AnnounceLimit `json:"announce_limits,omitempty"`
}

// WantedInstance is an instance together with state that the director adds to its configuration.
type WantedInstance struct {
	Instance
	Group  string  `json:"group,omitempty"`  // the sync group
	Tracks []Track `json:"tracks,omitempty"` // those that the director watches
}

// State is a virtual router's state, named as in RFC 9568.
type State string

// The states.
const (
	Initialize State = "INITIALIZE" // not taking part: see Status.Reason
	Backup     State = "BACKUP"
	Master     State = "MASTER"
	Leaving    State = "LEAVING" // has sent priority 0; still answers and forwards until the next master's advert arrives
)

// Status is the speaker's report on one instance. The speaker sends it complete after each change, and sends those of
// all instances when a director connects or requests a report.
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
	PreemptHeld       string            `json:"preempt_held,omitempty"` // why a backup does not preempt a master of lower priority
	Group             string            `json:"group,omitempty"`        // the sync group
	VMAC              *VMACStatus       `json:"vmac,omitempty"`
	Tracks            []Track           `json:"tracks,omitempty"`
	Conflicts         []Conflict        `json:"conflicts,omitempty"` // of a master
	Transitions       uint64            `json:"transitions"`         // times it became master
	TransitionCounts  []TransitionCount `json:"transition_counts,omitempty"`
	AddressesRefused  []string          `json:"addresses_refused,omitempty"` // each with its interface, the kernel's error and the remedy
	RoutesRefused     []string          `json:"routes_refused,omitempty"`    // routes and rules, each with the kernel's error
	AddressesFound    uint64            `json:"addresses_found,omitempty"`   // times that virtual addresses were found on a backup
	Addresses         []string          `json:"addresses"`                   // prefixes, as configured
	UnicastPeers      []netip.Addr      `json:"unicast_peers,omitempty"`     // as configured; empty for multicast. Filled in by the director
	Counters
}

// Counters are the parts of a Status that change without being reported by themselves.
type Counters struct {
	AdvertsSent       uint64            `json:"adverts_sent,omitempty"`
	AdvertsReceived   uint64            `json:"adverts_received,omitempty"`
	AnnouncesSent     uint64            `json:"announcements_sent,omitempty"` // ARP and NA packets
	Dropped           map[string]uint64 `json:"dropped,omitempty"`            // by named reason
	RoutesRestored    uint64            `json:"routes_restored,omitempty"`    // routes and rules set again after they had disappeared
	AddressesRestored uint64            `json:"addresses_restored,omitempty"` // restored after another program deleted them
	SendErrors        uint64            `json:"send_errors,omitempty"`        // adverts that the kernel refused
	AddressMismatches uint64            `json:"address_mismatches,omitempty"` // valid adverts with addresses other than ours
	InterfaceDropped  map[string]uint64 `json:"interface_dropped,omitempty"`  // packets on the interface that match no instance; the same for all instances on it
}

// TransitionCount is the number of an instance's transitions to a state for a reason.
type TransitionCount struct {
	To     State  `json:"to"`
	Reason Reason `json:"reason"`
	Count  uint64 `json:"count"`
}

// Figures are what the speaker reports of itself, with the statuses of all instances.
type Figures struct {
	PID      int                 `json:"pid"`
	Sent     histogram.Histogram `json:"sent"`     // lateness of own adverts: from when they were due to when the speaker began to send them
	Received histogram.Histogram `json:"received"` // lateness of the master's adverts: the time since the one before, less the interval
}
