package api

import (
	"net/netip"
	"slices"
	"time"

	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/ipvs"
	connsync "github.com/lvs-ha/lvs-ha/sync"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// Status is everything a director says of itself.
type Status struct {
	Version  string           `json:"version"`
	Node     string           `json:"node"`
	Started  time.Time        `json:"started"`
	Config   Config           `json:"config"`
	Problems []Problem        `json:"problems,omitempty"`
	VRRP     []vrrp.Status    `json:"vrrp,omitempty"`
	Services []Service        `json:"services,omitempty"`
	Foreign  []ForeignService `json:"foreign_services,omitempty"`
	Sync     []SyncDaemon     `json:"connection_sync,omitempty"`
}

// Config is the configuration in force and the last attempt to load another.
type Config struct {
	Path        string    `json:"path"`
	Loaded      time.Time `json:"loaded"`
	ReloadError string    `json:"reload_error,omitempty"` // of the last reload; empty if it worked
	StartError  string    `json:"start_error,omitempty"`  // the file was refused when the director was restarted, and not reloaded since
}

// Problem is something that is out of service now, in one sentence with its mend.
type Problem struct {
	Since time.Time `json:"since"`
	What  string    `json:"what"` // "ipvs", "speaker", "connection-sync", "config"
	Text  string    `json:"text"`
}

// ProblemUnread is the What of a status that is without what the kernel holds: no service is present in it.
const ProblemUnread = "kernel counters"

// KernelUnknown reports whether a status does not say what is in the kernel.
func (s *Status) KernelUnknown() bool {
	return slices.ContainsFunc(s.Problems, func(p Problem) bool { return p.What == ProblemUnread })
}

// Service is a virtual service: as configured, and as the kernel has it.
type Service struct {
	Name string `json:"name"`
	ipvs.Service
	Present bool       `json:"present"` // in the kernel's table
	Stats   ipvs.Stats `json:"stats"`
	Servers []Server   `json:"real_servers"`
}

// Server is a real server of a virtual service.
type Server struct {
	ipvs.Destination                   // with the configured weight
	State            healthcheck.State `json:"state"`
	Since            time.Time         `json:"since,omitzero"`
	Checks           []Check           `json:"checks,omitempty"`
	Present          bool              `json:"present"`       // in the kernel's table
	KernelWeight     uint32            `json:"kernel_weight"` // if present
	Active           uint32            `json:"active_connections"`
	Inactive         uint32            `json:"inactive_connections"`
	Stats            ipvs.Stats        `json:"stats"`
}

// Check is one health check of a real server.
type Check struct {
	Kind     healthcheck.Kind  `json:"kind"`
	Endpoint netip.AddrPort    `json:"endpoint"`
	State    healthcheck.State `json:"state"`
	Since    time.Time         `json:"since,omitzero"`
	Detail   string            `json:"detail,omitempty"` // of the last result
}

// ForeignService is a virtual service in the kernel's table that lvs-ha does not own.
type ForeignService struct {
	ipvs.Service
	Servers int `json:"real_servers"`
}

// SyncDaemon is a connection-sync daemon that the kernel runs.
type SyncDaemon struct {
	connsync.Running
	Instance string `json:"vrrp_instance,omitempty"` // that it follows
}
