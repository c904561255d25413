package config

import (
	"time"

	"github.com/hashicorp/hcl/v2"

	"github.com/lvs-ha/lvs-ha/ipvs"
)

// file is the decode struct of a configuration, without the language's own blocks.
type file struct {
	Director *directorBlock `hcl:"director,block"`
	API      *apiBlock      `hcl:"api,block"`
	Sysctl   *sysctlBlock   `hcl:"sysctl,block"`
	VRRP     []*vrrpBlock   `hcl:"vrrp,block"`

	StaticAddresses []*staticAddressBlock `hcl:"static_address,block"`
	StaticRoutes    []*routeBlock         `hcl:"static_route,block"`
	StaticRules     []*ruleBlock          `hcl:"static_rule,block"`

	AnnounceLimits []*announceLimitBlock `hcl:"announce_limit,block"`

	SyncGroups     []*syncGroupBlock    `hcl:"sync_group,block"`
	TrackScripts   []*trackScriptBlock  `hcl:"track_script,block"`
	TrackFiles     []*trackFileBlock    `hcl:"track_file,block"`
	TrackProcesses []*trackProcessBlock `hcl:"track_process,block"`
	TrackServices  []*trackServiceBlock `hcl:"track_service,block"`

	Services []*serviceBlock `hcl:"virtual_service,block"`
	Timeouts *timeoutsBlock  `hcl:"timeouts,block"`

	NotifyFIFOs    []*notifyFIFOBlock    `hcl:"notify_fifo,block"`
	NotifyWebhooks []*notifyWebhookBlock `hcl:"notify_webhook,block"`
	NotifyEmails   []*notifyEmailBlock   `hcl:"notify_email,block"`
}

// directorBlock is the `director` block.
type directorBlock struct {
	At             hcl.Range           `hcl:",def_range"`
	Grace          attr[time.Duration] `hcl:"grace,optional" default:"5s" range:"100ms..1h"`
	OnStop         attr[string]        `hcl:"on_stop,optional" default:"leave" oneof:"leave|remove"`
	RepairInterval attr[time.Duration] `hcl:"repair_interval,optional" default:"5s" range:"100ms..1h"`
}

// sysctlBlock is the `sysctl` block.
type sysctlBlock struct {
	At     hcl.Range  `hcl:",def_range"`
	Manage attr[bool] `hcl:"manage,optional" default:"false"`
}

// timeoutsBlock is the `timeouts` block.
type timeoutsBlock struct {
	At     hcl.Range           `hcl:",def_range"`
	TCP    attr[time.Duration] `hcl:"tcp,optional" unset:"the kernel's stays" range:"1s..744h"`
	TCPFin attr[time.Duration] `hcl:"tcp_fin,optional" unset:"the kernel's stays" range:"1s..744h"`
	UDP    attr[time.Duration] `hcl:"udp,optional" unset:"the kernel's stays" range:"1s..744h"`
}

// config returns the plain values of a valid configuration.
func (f *file) config(node string) *Config {
	if f.Director == nil {
		f.Director = withDefaults[directorBlock]()
	}
	c := &Config{Node: node, Director: f.Director.config(), Static: f.static(), AnnounceLimits: f.announceLimits(), Tracks: f.trackConfigs()}
	if f.Sysctl != nil {
		c.Sysctl.Manage = f.Sysctl.Manage.value
	}
	if f.API != nil {
		c.API = f.API.config()
	}
	for _, block := range f.VRRP {
		v := VRRP{Instance: block.instance(), Tracks: f.trackUses(block.Tracks)}
		if block.ConnectionSync != nil {
			v.ConnectionSync = block.ConnectionSync.config(v.VirtualRouterID)
		}
		if block.Notify != nil {
			v.Notify = block.Notify.config()
		}
		c.VRRP = append(c.VRRP, v)
	}
	for _, block := range f.SyncGroups {
		g := SyncGroup{Name: block.Name.value, Instances: values(block.Instances.value), Tracks: f.trackUses(block.Tracks)}
		if block.Notify != nil {
			g.Notify = block.Notify.config()
		}
		c.SyncGroups = append(c.SyncGroups, g)
	}
	for _, block := range f.Services {
		c.Services = append(c.Services, block.config())
	}
	for _, block := range f.NotifyFIFOs {
		c.NotifyFIFOs = append(c.NotifyFIFOs, block.config())
	}
	for _, block := range f.NotifyWebhooks {
		c.NotifyWebhooks = append(c.NotifyWebhooks, block.config())
	}
	for _, block := range f.NotifyEmails {
		c.NotifyEmails = append(c.NotifyEmails, block.config())
	}
	if f.Timeouts != nil {
		c.Timeouts = f.Timeouts.config()
	}
	return c
}

func (b *directorBlock) config() Director {
	return Director{Grace: b.Grace.value, OnStop: b.OnStop.value, Repair: b.RepairInterval.value}
}

func (b *timeoutsBlock) config() *ipvs.Timeouts {
	return &ipvs.Timeouts{TCP: seconds(b.TCP.value), TCPFin: seconds(b.TCPFin.value), UDP: seconds(b.UDP.value)}
}

func seconds(d time.Duration) uint32 { return uint32(d / time.Second) }

// wholeSeconds rejects timeouts that are not whole seconds, as the kernel requires.
func wholeSeconds(f *file) hcl.Diagnostics {
	var diags hcl.Diagnostics
	check := func(name string, a *attr[time.Duration]) {
		if a.isSet() && a.value%time.Second != 0 {
			diags = append(diags, problem(a.at(), "Invalid "+name,
				"The kernel counts whole seconds here; %s is not a multiple of 1s. Write %q.", a.value, a.value.Round(time.Second)))
		}
	}
	if f.Timeouts != nil {
		check("tcp", &f.Timeouts.TCP)
		check("tcp_fin", &f.Timeouts.TCPFin)
		check("udp", &f.Timeouts.UDP)
	}
	for _, service := range f.Services {
		if service.Persistence != nil {
			check("timeout", &service.Persistence.Timeout)
		}
	}
	return diags
}
