package api

import (
	"github.com/lvs-ha/lvs-ha/ipvs"
	connsync "github.com/lvs-ha/lvs-ha/sync"
)

// Plan is what putting a configuration in force would change.
type Plan struct {
	Running  bool              `json:"running"`          // a running director's health checks, services and VRRP states were used
	Assumed  int               `json:"assumed_healthy"`  // real servers that nobody checks yet; they count as passing their checks
	Table    []ipvs.Step       `json:"table"`            // in the order in which they would be done
	Foreign  []ipvs.ServiceKey `json:"foreign_services"` // left alone
	Sync     []connsync.Step   `json:"connection_sync"`
	Timeouts []ipvs.Change     `json:"timeouts"` // of connections, in seconds
	Settings []Setting         `json:"settings"` // of the running daemon; nothing of it is in the kernel's table
	Services []NamedService    `json:"services"` // of the configuration
}

// NamedService is a virtual service's name in the configuration.
type NamedService struct {
	Name string `json:"name"`
	ipvs.ServiceKey
}

// Setting is a part of the daemon's configuration that would change.
type Setting struct {
	What    string        `json:"what"`              // "director", `vrrp "web"`, `virtual_service "http"`
	Action  string        `json:"action"`            // "add", "edit" or "delete"
	Changes []ipvs.Change `json:"changes,omitempty"` // of an edit, field by field
}

// Empty reports whether there is nothing to do.
func (p Plan) Empty() bool {
	return len(p.Table)+len(p.Sync)+len(p.Timeouts)+len(p.Settings) == 0
}
