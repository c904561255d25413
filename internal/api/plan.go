package api

import (
	"context"
	"fmt"
	"io"

	"github.com/lvs-ha/lvs-ha/ipvs"
)

// Plan is the set of changes that applying a configuration would make.
type Plan struct {
	Running      bool           `json:"running"`                // a running director's health checks, services and VRRP states were used
	Assumed      int            `json:"assumed_healthy"`        // real servers that are not checked yet; they count as passing
	Undiscovered []string       `json:"undiscovered,omitempty"` // sources that have not answered yet: their servers are those found in the kernel
	Table        []Step         `json:"table"`                  // in execution order
	Foreign      []ServiceKey   `json:"foreign_services"`       // not changed
	Sync         []SyncStep     `json:"connection_sync"`
	Timeouts     []Change       `json:"timeouts"` // of connections
	Settings     []Setting      `json:"settings"` // of the running daemon; not in the kernel's table
	Services     []NamedService `json:"services"` // of the configuration
}

// Step is one change of the kernel's table.
type Step struct {
	Action      ipvs.Action     `json:"action"`
	Service     ServiceSettings `json:"service"`              // only the key, for steps on real servers
	Destination ServerSettings  `json:"destination,omitzero"` // of steps on real servers
	Options     string          `json:"options,omitempty"`    // of an addition: its settings in one line
	Changes     []Change        `json:"changes,omitempty"`    // of an edit
}

// Change is one field of an edit.
type Change struct {
	Field string `json:"field"`
	From  string `json:"from"`
	To    string `json:"to"`
}

// SyncStep starts or stops a connection-sync daemon.
type SyncStep struct {
	Action string `json:"action"` // "start" or "stop"
	SyncSettings
	Reason string `json:"reason"`
}

// String returns the step in one line.
func (s SyncStep) String() string { return fmt.Sprintf("%s %s (%s)", s.Action, s.running(), s.Reason) }

// NamedService is a virtual service's name in the configuration.
type NamedService struct {
	Name string `json:"name"`
	ServiceKey
}

// Setting is a part of the daemon's configuration that would change.
type Setting struct {
	What    string   `json:"what"`              // "director", `vrrp "web"`, `virtual_service "http"`
	Action  string   `json:"action"`            // "add", "edit" or "delete"
	Changes []Change `json:"changes,omitempty"` // of an edit
}

// Empty reports whether the plan has no changes.
func (p Plan) Empty() bool {
	return len(p.Table)+len(p.Sync)+len(p.Timeouts)+len(p.Settings) == 0
}

// plans is a turn for plans, of which one is made at a time: a configuration may need hundreds of megabytes.
type plans chan struct{}

var planning = make(plans, 1)

// make waits for its turn and plans the configuration in a request.
func (turn plans) make(ctx context.Context, d Director, body io.Reader) (Plan, error) {
	select {
	case turn <- struct{}{}:
		defer func() { <-turn }()
	case <-ctx.Done():
		return Plan{}, fmt.Errorf("waiting for another plan: %w", context.Cause(ctx))
	}
	cfg, err := posted(body)
	if err != nil {
		return Plan{}, err
	}
	return d.Plan(ctx, cfg)
}
