package api

import (
	"net/netip"
	"slices"
	"time"

	"github.com/lvs-ha/lvs-ha/healthcheck"
	connsync "github.com/lvs-ha/lvs-ha/sync"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// Status is the state of a director. The JSON names in this package are stable, since programs parse them.
type Status struct {
	Version  string           `json:"version"`
	Node     string           `json:"node"`
	Started  time.Time        `json:"started"`
	Config   Config           `json:"config"`
	Problems []Problem        `json:"problems,omitempty"`
	VRRP     []Instance       `json:"vrrp,omitempty"`
	Services []Service        `json:"services,omitempty"`
	Foreign  []ForeignService `json:"foreign_services,omitempty"`
	Sync     []SyncDaemon     `json:"connection_sync,omitempty"`
	Notify   []Receiver       `json:"notify,omitempty"`
	Upgrade  *Upgrade         `json:"upgrade,omitempty"` // the latest, since the parent process started

	KernelRead time.Time `json:"kernel_read,omitzero"` // when the kernel's table and counters were last read
}

// Upgrade is a change of the running lvs-ha to another version, or the attempt.
type Upgrade struct {
	Step    string    `json:"step"` // "checking", "starting", "done", "refused", "put back", "failed"
	From    string    `json:"from"`
	To      string    `json:"to,omitempty"` // empty until the other version has said it
	Error   string    `json:"error,omitempty"`
	Started time.Time `json:"started"`
	Changed time.Time `json:"changed"` // the step
}

// Version is the version of a director.
type Version struct {
	Version string `json:"version"`
}

// Config is the configuration in use and the last attempt to load another.
type Config struct {
	Path        string    `json:"path"`
	Loaded      time.Time `json:"loaded"`
	Digest      string    `json:"digest,omitempty"`       // of its files: nodes with the same files have the same; empty if it is not known
	Read        time.Time `json:"last_read,omitzero"`     // the file, at the start or for the last reload
	ReloadError string    `json:"reload_error,omitempty"` // of the last reload; empty if it worked
	StartError  string    `json:"start_error,omitempty"`  // the file was refused when the director was restarted, and not reloaded since

	ConfirmUntil time.Time `json:"confirm_until,omitzero"` // when the director goes back to the configuration before, unless this one is confirmed
	Reverted     string    `json:"reverted,omitempty"`     // why the director went back; the file is not in force
}

// Problem is a part that is out of service, described in one sentence with its remedy.
type Problem struct {
	Since time.Time `json:"since"`
	What  string    `json:"what"` // "ipvs", "speaker", "connection-sync", "config"
	Text  string    `json:"text"`
}

// ProblemUnread is the What of a status without the kernel's state: no service is present in it.
const ProblemUnread = "kernel counters"

// KernelUnknown reports whether a status lacks the kernel's state.
func (s *Status) KernelUnknown() bool {
	return slices.ContainsFunc(s.Problems, func(p Problem) bool { return p.What == ProblemUnread })
}

// Instance is a VRRP instance.
type Instance struct {
	Name               string            `json:"name"`
	Interface          string            `json:"interface"`
	VirtualRouterID    uint8             `json:"virtual_router_id"`
	Family             string            `json:"family"` // "ipv4" or "ipv6"
	Version            uint8             `json:"version"`
	State              vrrp.State        `json:"state"`
	Reason             string            `json:"reason"` // of the last transition, e.g. "master-down-timer"
	Since              time.Time         `json:"since"`
	Priority           uint8             `json:"priority"`           // configured
	EffectivePriority  uint8             `json:"effective_priority"` // with tracks
	MasterAddress      string            `json:"master_address,omitempty"`
	MasterPriority     uint8             `json:"master_priority,omitempty"`
	AdvertiseInterval  Duration          `json:"advertise_interval"` // in use; a v3 backup adopts the master's
	SkewTime           Duration          `json:"skew_time"`
	MasterDownInterval Duration          `json:"master_down_interval"`
	PreemptHeld        string            `json:"preempt_held,omitempty"` // why a backup does not preempt a master of lower priority
	Group              string            `json:"group,omitempty"`        // its sync group
	VMAC               *VMAC             `json:"vmac,omitempty"`         // nil: the addresses have the interface's MAC address
	Tracks             []Track           `json:"tracks,omitempty"`       // what it depends on
	Conflicts          []Conflict        `json:"conflicts,omitempty"`    // of a master
	Transitions        uint64            `json:"transitions"`            // times it became master
	TransitionCounts   []TransitionCount `json:"transition_counts,omitempty"`
	AdvertsSent        uint64            `json:"adverts_sent"`
	AdvertsReceived    uint64            `json:"adverts_received"`
	AnnouncementsSent  uint64            `json:"announcements_sent"`           // ARP and NA packets
	Dropped            map[string]uint64 `json:"dropped,omitempty"`            // packets by reason
	AddressesRefused   []string          `json:"addresses_refused,omitempty"`  // which, where, the kernel's error and the remedy
	RoutesRefused      []string          `json:"routes_refused,omitempty"`     // routes and rules, with the kernel's error and the remedy
	RoutesRestored     uint64            `json:"routes_restored,omitempty"`    // routes and rules set again after they had disappeared
	AddressesRestored  uint64            `json:"addresses_restored"`           // added again after another program had deleted them
	AddressesFound     uint64            `json:"addresses_found,omitempty"`    // times that another program had added addresses on a backup
	SendErrors         uint64            `json:"send_errors,omitempty"`        // adverts that the kernel refused
	AddressMismatches  uint64            `json:"address_mismatches,omitempty"` // accepted adverts with other addresses than ours
	InterfaceDropped   map[string]uint64 `json:"interface_dropped,omitempty"`  // packets on the interface that are for no instance; the same for all its instances
	Addresses          []string          `json:"addresses"`                    // prefixes, as configured
	UnicastPeers       []netip.Addr      `json:"unicast_peers,omitempty"`      // as configured; empty means multicast
	History            []Transition      `json:"history,omitempty"`            // the last 50 transitions, oldest first
}

// Transition is a change of an instance's state. If Lost is not zero, it represents Lost transitions, of any instances, that
// the director never received.
type Transition struct {
	Sequence uint64      `json:"sequence"` // over all instances
	Time     time.Time   `json:"time"`
	From     vrrp.State  `json:"from,omitempty"`
	To       vrrp.State  `json:"to,omitempty"`
	Reason   vrrp.Reason `json:"reason,omitempty"`
	Priority uint8       `json:"priority,omitempty"` // effective, after the transition
	Lost     uint64      `json:"lost,omitempty"`
}

// TransitionCount is the number of an instance's transitions to a state for a reason, since the speaker was started.
type TransitionCount struct {
	To     vrrp.State  `json:"to"`
	Reason vrrp.Reason `json:"reason"`
	Count  uint64      `json:"count"`
}

// VMAC is the interface with an instance's virtual MAC address.
type VMAC struct {
	Interface string `json:"interface"`
	Hardware  string `json:"hardware"`          // the MAC address
	Problem   string `json:"problem,omitempty"` // why it cannot be used, or why the host accepts packets that it should drop
}

// Track is a dependency of an instance.
type Track struct {
	Name   string         `json:"name"`
	Kind   vrrp.TrackKind `json:"kind"`
	Effect vrrp.Effect    `json:"effect,omitempty"` // empty if it currently has no effect
	Offset int            `json:"offset,omitempty"` // added to the priority if the effect is "offset"
	Reason string         `json:"reason,omitempty"` // the last result
	Since  time.Time      `json:"since,omitzero"`   // of the effect

	Failed  bool `json:"failed,omitempty"`  // the last result is bad, regardless of its effect
	Pending bool `json:"pending,omitempty"` // there is no result yet
}

// Service is a virtual service as configured and as it is in the kernel.
type Service struct {
	Name string `json:"name"`
	ServiceSettings
	Present bool     `json:"present"` // in the kernel's table
	Quorum  Quorum   `json:"quorum"`
	Sources []Source `json:"discovery,omitempty"`
	Stats   Stats    `json:"stats"`
	Servers []Server `json:"real_servers"`

	Absent  []AbsentServer `json:"absent_servers,omitempty"`
	Leaving []Server       `json:"leaving_servers,omitempty"` // no longer real servers of the service; they keep their connections for a time
}

// Clone returns a copy with real servers and checks of its own.
func (v *Service) Clone() Service {
	out := *v
	out.Servers = slices.Clone(v.Servers)
	for i := range out.Servers {
		out.Servers[i].Checks = slices.Clone(out.Servers[i].Checks)
	}
	return out
}

// AbsentServer is a discovered server with an operator's order, which its source does not list now. The order applies when it returns.
type AbsentServer struct {
	ServerKey
	Override Override `json:"override"`
}

// Source is a source of a service's real servers.
type Source struct {
	Name     string    `json:"name"`              // "dns web.example.com", "file /etc/lvs-ha/web.json"
	Known    bool      `json:"known"`             // there is a list
	Listed   int       `json:"listed"`            // servers in the last good list
	Answered time.Time `json:"answered,omitzero"` // when the source gave it; zero if they were found in the kernel's table
	Error    string    `json:"error,omitempty"`   // why the source has failed since
	Failed   time.Time `json:"failed,omitzero"`   // when it began to fail
	Ignored  []string  `json:"ignored,omitempty"` // listed servers that the service cannot use, and why
}

// Quorum reports whether the real servers of a service are enough.
type Quorum struct {
	State  healthcheck.State `json:"state"`
	Live   uint64            `json:"live"`   // real servers that receive connections, or the sum of their weights
	Needed uint64            `json:"needed"` // to keep the quorum, or to gain it
	Since  time.Time         `json:"since,omitzero"`
}

// Server is a real server of a virtual service.
type Server struct {
	ServerSettings                   // with the configured weight
	Effective      uint32            `json:"effective_weight"` // with what Reason and Override say
	Sorry          bool              `json:"sorry,omitempty"`
	Source         string            `json:"source,omitempty"` // of a discovered server
	State          healthcheck.State `json:"state"`
	Since          time.Time         `json:"since,omitzero"`
	Reason         string            `json:"reason"` // why it is, or is not, in use
	Override       *Override         `json:"override,omitempty"`
	Checks         []Check           `json:"checks,omitempty"`
	LeavingUntil   time.Time         `json:"leaving_until,omitzero"` // when it is removed from the kernel's table; until then it keeps its connections
	Present        bool              `json:"present"`                // in the kernel's table
	KernelWeight   uint32            `json:"kernel_weight"`          // if present
	Active         uint32            `json:"active_connections"`
	Inactive       uint32            `json:"inactive_connections"`
	Stats          Stats             `json:"stats"`
}

// Stats are the kernel's counters and rates.
type Stats struct {
	Connections    uint64 `json:"connections"`
	InPackets      uint64 `json:"in_packets"`
	OutPackets     uint64 `json:"out_packets"`
	InBytes        uint64 `json:"in_bytes"`
	OutBytes       uint64 `json:"out_bytes"`
	ConnectionRate uint64 `json:"connections_per_second"`
	InPacketRate   uint64 `json:"in_packets_per_second"`
	OutPacketRate  uint64 `json:"out_packets_per_second"`
	InByteRate     uint64 `json:"in_bytes_per_second"`
	OutByteRate    uint64 `json:"out_bytes_per_second"`
}

// Check is one health check of a real server.
type Check struct {
	Kind     string            `json:"kind"`
	Endpoint netip.AddrPort    `json:"endpoint"`
	State    healthcheck.State `json:"state"`
	Since    time.Time         `json:"since,omitzero"`
	Detail   string            `json:"detail,omitempty"` // of the last result
	Took     Duration          `json:"took,omitempty"`   // duration of the last check
	Advice   string            `json:"advice,omitempty"` // about the server's share of the traffic: "75% drain maxconn:30", "weight 10"
}

// ForeignService is a virtual service in the kernel's table that lvs-ha does not own.
type ForeignService struct {
	ServiceSettings
	Servers int `json:"real_servers"`
}

// SyncDaemon is a connection-sync daemon that the kernel runs.
type SyncDaemon struct {
	SyncSettings
	Instance string `json:"vrrp_instance,omitempty"` // the instance that it follows
}

// SyncSettings are the settings of a connection-sync daemon.
type SyncSettings struct {
	Role      connsync.Role `json:"role"`
	Interface string        `json:"interface"`
	SyncID    uint32        `json:"sync_id"`
	MaxLen    uint16        `json:"max_message_bytes,omitempty"` // 0 means what fits the interface's MTU
	Group     netip.Addr    `json:"group,omitzero"`              // multicast; unset: 224.0.0.81
	Port      uint16        `json:"port,omitempty"`              // UDP; 0: 8848
	TTL       uint8         `json:"ttl,omitempty"`               // 0: 1
}

// Receiver is a receiver of notifications with its counters, which start with the director.
type Receiver struct {
	Name      string `json:"name"`    // its block: "notify web", "notify_fifo /run/lvs-ha/notify.fifo"
	Waiting   int    `json:"waiting"` // notifications
	Delivered uint64 `json:"delivered"`
	Failed    uint64 `json:"failed"`          // given up after all attempts
	Dropped   uint64 `json:"dropped"`         // dropped because too many were waiting
	Error     string `json:"error,omitempty"` // why the last one failed or the next one will fail
}
