package config

import (
	"io/fs"
	"strconv"
	"time"

	"github.com/hashicorp/hcl/v2"

	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/internal/secret"
)

// Notify is a `notify` block: commands that are run when an instance changes its state. Each is a program and its arguments.
type Notify struct {
	Master  []string      `json:"master,omitempty"`
	Backup  []string      `json:"backup,omitempty"`
	Fault   []string      `json:"fault,omitempty"`
	Stop    []string      `json:"stop,omitempty"`
	Up      []string      `json:"up,omitempty"` // of a service or server, as Down and AtStop
	Down    []string      `json:"down,omitempty"`
	AtStop  bool          `json:"at_stop,omitempty"` // Down also when lvs-ha stops
	All     []string      `json:"all,omitempty"`     // after the others; keepalived's arguments are appended
	User    string        `json:"user,omitempty"`
	Group   string        `json:"group,omitempty"`
	Timeout time.Duration `json:"timeout"`
	Shell   bool          `json:"shell,omitempty"`
}

// The kinds of events that receivers can choose.
const (
	EventVRRP    = "vrrp"
	EventService = "service"
	EventServer  = "server"
)

// NotifyFIFO is a `notify_fifo` block.
type NotifyFIFO struct {
	Path   string   `json:"path"`
	Mode   uint32   `json:"mode"`             // of a FIFO that does not exist yet
	Events []string `json:"events,omitempty"` // kinds; empty means all
}

// NotifyWebhook is a `notify_webhook` block.
type NotifyWebhook struct {
	Name        string               `json:"name"`
	URL         secret.URL           `json:"url"`
	Headers     []healthcheck.Header `json:"headers,omitempty"`
	Retries     int                  `json:"retries"`
	Timeout     time.Duration        `json:"timeout"`
	CAFile      string               `json:"ca_file,omitempty"`
	Authorities string               `json:"-"`                // contents of CAFile
	Events      []string             `json:"events,omitempty"` // kinds; empty means all
}

// What NotifyEmail.TLS may be.
const (
	TLSStart    = "starttls"
	TLSImplicit = "tls"
	TLSNone     = "none"
)

// NotifyEmail is a `notify_email` block.
type NotifyEmail struct {
	Name        string        `json:"name"`
	SMTP        string        `json:"smtp"` // host:port
	From        string        `json:"from"`
	To          []string      `json:"to"`
	TLS         string        `json:"tls"`
	Username    string        `json:"username,omitempty"`
	Password    secret.Text   `json:"password,omitempty"`
	Interval    time.Duration `json:"interval"`
	Retries     int           `json:"retries"`
	CAFile      string        `json:"ca_file,omitempty"`
	Authorities string        `json:"-"`                // contents of CAFile
	Events      []string      `json:"events,omitempty"` // kinds; empty means all
}

// notifyBlock is a `notify` block within a `vrrp` block.
type notifyBlock struct {
	At      hcl.Range            `hcl:",def_range"`
	Master  attr[[]item[string]] `hcl:"master,optional" unset:"none"`
	Backup  attr[[]item[string]] `hcl:"backup,optional" unset:"none"`
	Fault   attr[[]item[string]] `hcl:"fault,optional" unset:"none"`
	Stop    attr[[]item[string]] `hcl:"stop,optional" unset:"none"`
	All     attr[[]item[string]] `hcl:"all,optional" unset:"none"`
	User    attr[string]         `hcl:"user,optional" unset:"nobody"`
	Group   attr[string]         `hcl:"group,optional" unset:"the user's"`
	Timeout attr[time.Duration]  `hcl:"timeout,optional" default:"30s" range:"100ms..1h"`
	Shell   attr[bool]           `hcl:"shell,optional" default:"false"`
}

// commands are the attributes with a command.
func (b *notifyBlock) commands() map[string]*attr[[]item[string]] {
	return map[string]*attr[[]item[string]]{"master": &b.Master, "backup": &b.Backup, "fault": &b.Fault, "stop": &b.Stop, "all": &b.All}
}

func (b *notifyBlock) config() *Notify {
	return &Notify{
		Master: values(b.Master.value), Backup: values(b.Backup.value), Fault: values(b.Fault.value), Stop: values(b.Stop.value), All: values(b.All.value),
		User: b.User.value, Group: b.Group.value, Timeout: b.Timeout.value, Shell: b.Shell.value,
	}
}

// poolNotifyBlock is a `notify` block within a `virtual_service`, `real_server` or `sorry_server` block.
type poolNotifyBlock struct {
	At      hcl.Range            `hcl:",def_range"`
	Up      attr[[]item[string]] `hcl:"up,optional" unset:"none"`
	Down    attr[[]item[string]] `hcl:"down,optional" unset:"none"`
	All     attr[[]item[string]] `hcl:"all,optional" unset:"none"`
	AtStop  attr[bool]           `hcl:"at_stop,optional" default:"false"`
	User    attr[string]         `hcl:"user,optional" unset:"nobody"`
	Group   attr[string]         `hcl:"group,optional" unset:"the user's"`
	Timeout attr[time.Duration]  `hcl:"timeout,optional" default:"30s" range:"100ms..1h"`
	Shell   attr[bool]           `hcl:"shell,optional" default:"false"`
}

// config returns the plain value, or nil without a block.
func (b *poolNotifyBlock) config() *Notify {
	if b == nil {
		return nil
	}
	return &Notify{
		Up: values(b.Up.value), Down: values(b.Down.value), All: values(b.All.value), AtStop: b.AtStop.value,
		User: b.User.value, Group: b.Group.value, Timeout: b.Timeout.value, Shell: b.Shell.value,
	}
}

// notifyFIFOBlock is a `notify_fifo` block.
type notifyFIFOBlock struct {
	At   hcl.Range    `hcl:",def_range"`
	Path attr[string] `hcl:"path,label"`
	Mode attr[string] `hcl:"mode,optional" default:"0600" oneof:"0600|0640|0644|0660"`

	Events attr[[]item[string]] `hcl:"events,optional" unset:"all" oneof:"vrrp|service|server"`
}

func (b *notifyFIFOBlock) config() NotifyFIFO {
	mode, _ := strconv.ParseUint(b.Mode.value, 8, 32) // one of the words
	return NotifyFIFO{Path: b.Path.value, Mode: uint32(fs.FileMode(mode).Perm()), Events: values(b.Events.value)}
}

// notifyWebhookBlock is a `notify_webhook` block.
type notifyWebhookBlock struct {
	At      hcl.Range               `hcl:",def_range"`
	Name    attr[string]            `hcl:"name,label"`
	URL     attr[string]            `hcl:"url,attr" holds:"an http or https URL"`
	Headers attr[map[string]string] `hcl:"headers,optional" unset:"none"`
	Retries attr[int64]             `hcl:"retries,optional" default:"5" range:"0..100"`
	Timeout attr[time.Duration]     `hcl:"timeout,optional" default:"5s" range:"10ms..5m"`
	CAFile  attr[string]            `hcl:"ca_file,optional" unset:"the system's authorities"`

	authorities string               // path of CAFile
	Events      attr[[]item[string]] `hcl:"events,optional" unset:"all" oneof:"vrrp|service|server"`
}

func (b *notifyWebhookBlock) config() NotifyWebhook {
	return NotifyWebhook{
		Name: b.Name.value, URL: secret.URL(b.URL.value), Headers: headersOf(b.Headers.value), Retries: int(b.Retries.value), Timeout: b.Timeout.value,
		CAFile: b.authorities,
		Events: values(b.Events.value),
	}
}

// notifyEmailBlock is a `notify_email` block.
type notifyEmailBlock struct {
	At           hcl.Range            `hcl:",def_range"`
	Name         attr[string]         `hcl:"name,label"`
	SMTP         attr[string]         `hcl:"smtp,attr" holds:"host:port"`
	From         attr[string]         `hcl:"from,attr" holds:"a mail address"`
	To           attr[[]item[string]] `hcl:"to,attr" holds:"mail addresses"`
	TLS          attr[string]         `hcl:"tls,optional" default:"starttls" oneof:"starttls|tls|none"`
	Username     attr[string]         `hcl:"username,optional" unset:"no login"`
	Password     attr[secret.Text]    `hcl:"password,optional" unset:"that of password_file"`
	PasswordFile attr[string]         `hcl:"password_file,optional" unset:"none"`
	Interval     attr[time.Duration]  `hcl:"interval,optional" default:"1m" range:"0s..24h"`
	Retries      attr[int64]          `hcl:"retries,optional" default:"5" range:"0..100"`
	CAFile       attr[string]         `hcl:"ca_file,optional" unset:"the system's authorities"`

	filePassword string               // contents of PasswordFile
	authorities  string               // path of CAFile
	Events       attr[[]item[string]] `hcl:"events,optional" unset:"all" oneof:"vrrp|service|server"`
}

func (b *notifyEmailBlock) config() NotifyEmail {
	e := NotifyEmail{
		Name: b.Name.value, SMTP: b.SMTP.value, From: b.From.value, To: values(b.To.value), TLS: b.TLS.value,
		Username: b.Username.value, Password: b.Password.value, Interval: b.Interval.value, Retries: int(b.Retries.value),
		CAFile: b.authorities,
		Events: values(b.Events.value),
	}
	if b.PasswordFile.isSet() {
		e.Password = secret.Text(b.filePassword)
	}
	return e
}
