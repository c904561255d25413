package config

import (
	"time"

	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/ipvs"
	connsync "github.com/lvs-ha/lvs-ha/sync"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// Config is a whole configuration as one node sees it: plain values that marshal to JSON and back.
type Config struct {
	Node     string           `json:"node"`
	Director Director         `json:"director"`
	Sysctl   Sysctl           `json:"sysctl,omitzero"`
	VRRP     []VRRP           `json:"vrrp,omitempty"`
	Services []VirtualService `json:"services,omitempty"`
	Timeouts *ipvs.Timeouts   `json:"timeouts,omitempty"`
}

// Director is the `director` block: how the daemon itself behaves.
type Director struct {
	Grace  time.Duration `json:"grace"`   // without a director process for so long, the speaker hands over
	OnStop string        `json:"on_stop"` // the IPVS table at stop: "leave" (default) or "remove"
	Repair time.Duration `json:"repair"`  // interval of drift repair, at least 100 ms
}

// Sysctl is the `sysctl` block: kernel parameters.
type Sysctl struct {
	Manage bool `json:"manage"` // the daemon sets those that the configured forwarding needs, and puts them back
}

// VRRP is a `vrrp` block.
type VRRP struct {
	vrrp.Instance
	ConnectionSync *ConnectionSync `json:"connection_sync,omitempty"`
}

// ConnectionSync is a `connection_sync` block within a `vrrp` block.
type ConnectionSync struct {
	connsync.Daemon
	LearnTime time.Duration `json:"learn_time"` // the backup daemon runs so long before this node preempts; 0: no gate
}

// VirtualService is a `virtual_service` block.
type VirtualService struct {
	Name string `json:"name"`
	ipvs.Service
	Checks      []healthcheck.Spec `json:"checks,omitempty"` // all must pass; none: always up
	OnFailure   OnFailure          `json:"on_failure"`
	RealServers []RealServer       `json:"real_servers,omitempty"`
}

// OnFailure says what happens to a real server whose checks fail.
type OnFailure string

// What happens to a real server that is down.
const (
	Remove OnFailure = "remove" // the default
	Weight OnFailure = "weight" // stays with weight 0 (keepalived: inhibit_on_failure)
)

// RealServer is a `real_server` block within a `virtual_service` block.
type RealServer struct {
	ipvs.Destination
	Checks []healthcheck.Spec `json:"checks,omitempty"` // its own, or else the service's
}
