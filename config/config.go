package config

import (
	"cmp"
	"slices"
	"time"

	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/ipvs"
	connsync "github.com/lvs-ha/lvs-ha/sync"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// Config is a configuration as evaluated for one node: plain values that can be marshalled to JSON and back.
type Config struct {
	Node     string   `json:"node"`
	Digest   string   `json:"-"` // of the files; empty if it was not read from files
	Director Director `json:"director"`
	API      API      `json:"api,omitzero"`
	Sysctl   Sysctl   `json:"sysctl,omitzero"`
	VRRP     []VRRP   `json:"vrrp,omitempty"`
	Tracks   []Track  `json:"tracks,omitempty"`

	Static vrrp.Static `json:"static,omitzero"` // set regardless of the instances' states

	AnnounceLimits []vrrp.AnnounceLimit `json:"announce_limits,omitempty"`

	SyncGroups []SyncGroup `json:"sync_groups,omitempty"`

	Services []VirtualService `json:"services,omitempty"`
	Timeouts *ipvs.Timeouts   `json:"timeouts,omitempty"`

	NotifyFIFOs    []NotifyFIFO    `json:"notify_fifo,omitempty"`
	NotifyWebhooks []NotifyWebhook `json:"notify_webhook,omitempty"`
	NotifyEmails   []NotifyEmail   `json:"notify_email,omitempty"`

	CAFiles map[string]string `json:"ca_files,omitempty"` // contents of the files that checks and receivers name, by name
}

// LinkFiles sets the contents of the file named by each health check and each receiver. It must be called after a configuration was read
// from JSON, which contains each file once.
func (c *Config) LinkFiles() {
	parsed := map[string]*healthcheck.Authorities{}
	for name, pem := range c.CAFiles {
		parsed[name], _ = healthcheck.ParseAuthorities(pem) // a failed parse is reported by the checks
	}
	link := func(checks []healthcheck.Spec) {
		for i := range checks {
			if s, ok := checks[i].Check.(healthcheck.Secured); ok {
				if name := s.Security().AuthoritiesFile(); name != "" {
					s.Security().Authorities = parsed[name]
				}
			}
		}
	}
	for i := range c.NotifyWebhooks {
		c.NotifyWebhooks[i].Authorities = c.CAFiles[c.NotifyWebhooks[i].CAFile]
	}
	for i := range c.NotifyEmails {
		c.NotifyEmails[i].Authorities = c.CAFiles[c.NotifyEmails[i].CAFile]
	}
	for i := range c.Services {
		link(c.Services[i].Checks)
		for j := range c.Services[i].RealServers {
			link(c.Services[i].RealServers[j].Checks)
		}
	}
}

// Director is the `director` block: settings of the daemon itself.
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
	Tracks         []TrackUse      `json:"tracks,omitempty"`
	ConnectionSync *ConnectionSync `json:"connection_sync,omitempty"`
	Notify         *Notify         `json:"notify,omitempty"`
}

// SyncGroup is a `sync_group` block: instances that are master together, or not at all.
type SyncGroup struct {
	Name      string     `json:"name"`
	Instances []string   `json:"instances"`
	Tracks    []TrackUse `json:"tracks,omitempty"` // of all of them
	Notify    *Notify    `json:"notify,omitempty"`
}

// GroupOf is the sync group of an instance; nil if it is in none.
func (c *Config) GroupOf(instance string) *SyncGroup {
	for i := range c.SyncGroups {
		if slices.Contains(c.SyncGroups[i].Instances, instance) {
			return &c.SyncGroups[i]
		}
	}
	return nil
}

// Track is a `track_script`, `track_file`, `track_process` or `track_service` block: one of its fields but the name is set.
type Track struct {
	Name    string        `json:"name"`
	Script  *TrackScript  `json:"script,omitempty"`
	File    *TrackFile    `json:"file,omitempty"`
	Process *TrackProcess `json:"process,omitempty"`
	Service *TrackService `json:"service,omitempty"`
}

// TrackScript is what a `track_script` block watches: the exit status of a command.
type TrackScript struct {
	Command  []string      `json:"command"`
	Shell    bool          `json:"shell,omitempty"`
	User     string        `json:"user,omitempty"`
	Group    string        `json:"group,omitempty"`
	Interval time.Duration `json:"interval"`
	Timeout  time.Duration `json:"timeout"`
	Rise     int           `json:"rise"`
	Fall     int           `json:"fall"`
	Init     string        `json:"init,omitempty"` // "ok" or "failed"; empty: the first result decides
}

// TrackFile is what a `track_file` block watches: the number in a file.
type TrackFile struct {
	Path string `json:"path"`
}

// TrackProcess is what a `track_process` block watches: the number of processes.
type TrackProcess struct {
	Process   string        `json:"process,omitempty"` // the name of the program; empty: see Command
	Command   []string      `json:"command,omitempty"` // how the command line begins
	Minimum   int           `json:"minimum"`
	Maximum   int           `json:"maximum"`              // -1: none
	DelayUp   time.Duration `json:"delay_up,omitempty"`   // before enough processes count
	DelayDown time.Duration `json:"delay_down,omitempty"` // before too few or too many processes count
}

// TrackService is what a `track_service` block watches: the real servers of a virtual service that are in use.
type TrackService struct {
	Service string `json:"service"`
	Minimum int    `json:"minimum,omitempty"` // 0: the service's quorum
}

// TrackUse is a `track` block within a `vrrp` block: what a track's result does.
type TrackUse struct {
	Name    string `json:"name"`
	Weight  int    `json:"weight,omitempty"`
	Reverse bool   `json:"reverse,omitempty"`
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
	Checks    []healthcheck.Spec `json:"checks,omitempty"`          // none: always up
	Required  int                `json:"required_checks,omitempty"` // so many checks of a real server must pass; 0: all
	OnFailure OnFailure          `json:"on_failure"`
	Pool
	Notify      *Notify      `json:"notify,omitempty"`
	Discover    []Discover   `json:"discover,omitempty"`
	RealServers []RealServer `json:"real_servers,omitempty"` // including the sorry servers, and with package pool's Expand the discovered ones
}

// Pool is how a virtual service uses its real servers.
type Pool struct {
	Quorum    Quorum        `json:"quorum,omitzero"`
	MinUp     MinUp         `json:"min_up,omitzero"`
	SlowStart time.Duration `json:"slow_start,omitempty"`
	Linger    time.Duration `json:"linger,omitempty"`
	Init      string        `json:"init,omitempty"`     // InitUp, or empty: not in use before the first result
	CheckOn   string        `json:"check_on,omitempty"` // OnMaster, or empty: on all directors
}

// OnMaster is the CheckOn of services that are checked only on the master of their address.
const OnMaster = "master"

// InitUp is the Init of servers that count as up before their first result.
const InitUp = "up"

// MinUp is how many real servers stay in use, even if they fail their checks. The zero value is none.
type MinUp struct {
	Servers int `json:"servers,omitempty"`
	Percent int `json:"percent,omitempty"`
}

// Of returns the number of servers out of all.
func (m MinUp) Of(all int) int { return max(m.Servers, (all*m.Percent+99)/100) }

// Quorum is a `quorum` block: when the real servers of a service are enough. The zero value is one server.
type Quorum struct {
	Servers    int    `json:"servers,omitempty"`
	Weight     uint64 `json:"weight,omitempty"` // instead of Servers: the sum of their weights
	Hysteresis uint64 `json:"hysteresis,omitempty"`
}

// OnFailure is the action for a real server whose checks fail.
type OnFailure string

// The actions for a failed real server.
const (
	Remove OnFailure = "remove" // the default
	Weight OnFailure = "weight" // kept with weight 0 (keepalived: inhibit_on_failure)
)

// RealServer is a `real_server` block within a `virtual_service` block.
type RealServer struct {
	ipvs.Destination
	Checks    []healthcheck.Spec `json:"checks,omitempty"`     // its own, or else the service's
	OnFailure OnFailure          `json:"on_failure,omitempty"` // its own, or else the service's: see FailureOf
	Init      string             `json:"init,omitempty"`       // its own, "down" or InitUp, or else the service's: see StartsUp
	Notify    *Notify            `json:"notify,omitempty"`
	Sorry     bool               `json:"sorry,omitempty"` // a `sorry_server` block, which has only checks of its own

	Source   string    `json:"source,omitempty"`  // of a discovered server
	Unlisted time.Time `json:"unlisted,omitzero"` // of a discovered server: since when its source does not list it
}

// StartsUp reports whether a real server of the service is used before its first result.
func (vs VirtualService) StartsUp(rs RealServer) bool { return cmp.Or(rs.Init, vs.Init) == InitUp }

// FailureOf returns the action for a real server of the service whose checks fail.
func (vs VirtualService) FailureOf(rs RealServer) OnFailure {
	if rs.OnFailure != "" {
		return rs.OnFailure
	}
	return vs.OnFailure
}
