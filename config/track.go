package config

import (
	"time"

	"github.com/hashicorp/hcl/v2"
)

// trackScriptBlock is a `track_script` block. Its defaults are keepalived's.
type trackScriptBlock struct {
	At       hcl.Range            `hcl:",def_range"`
	Name     attr[string]         `hcl:"name,label"`
	Command  attr[[]item[string]] `hcl:"command,attr" holds:"a program and its arguments"`
	Shell    attr[bool]           `hcl:"shell,optional" default:"false"`
	User     attr[string]         `hcl:"user,optional" default:"nobody"`
	Group    attr[string]         `hcl:"group,optional" unset:"the user's"`
	Interval attr[time.Duration]  `hcl:"interval,optional" default:"1s" range:"100ms..24h"`
	Timeout  attr[time.Duration]  `hcl:"timeout,optional" unset:"interval" range:"10ms..1h"`
	Rise     attr[int64]          `hcl:"rise,optional" default:"1" range:"1..1000"`
	Fall     attr[int64]          `hcl:"fall,optional" default:"1" range:"1..1000"`
	Init     attr[string]         `hcl:"init,optional" unset:"the first result decides" oneof:"ok|failed"`
	Weight   attr[int64]          `hcl:"weight,optional" default:"0" range:"-253..253"`
	Reverse  attr[bool]           `hcl:"reverse,optional" default:"false"`
}

// trackFileBlock is a `track_file` block.
type trackFileBlock struct {
	At      hcl.Range    `hcl:",def_range"`
	Name    attr[string] `hcl:"name,label"`
	Path    attr[string] `hcl:"path,attr" holds:"an absolute path"`
	Weight  attr[int64]  `hcl:"weight,optional" default:"1" range:"-253..253"`
	Reverse attr[bool]   `hcl:"reverse,optional" default:"false"`
}

// trackProcessBlock is a `track_process` block.
type trackProcessBlock struct {
	At        hcl.Range            `hcl:",def_range"`
	Name      attr[string]         `hcl:"name,label"`
	Process   attr[string]         `hcl:"process,optional" unset:"the name of the block"`
	Command   attr[[]item[string]] `hcl:"command,optional" unset:"any" holds:"a program and its arguments"`
	Minimum   attr[int64]          `hcl:"minimum,optional" default:"1" range:"0..65535"`
	Maximum   attr[int64]          `hcl:"maximum,optional" unset:"none" range:"0..65535"`
	DelayUp   attr[time.Duration]  `hcl:"delay_up,optional" default:"0s" range:"0s..1h"`
	DelayDown attr[time.Duration]  `hcl:"delay_down,optional" default:"0s" range:"0s..1h"`
	Weight    attr[int64]          `hcl:"weight,optional" default:"0" range:"-253..253"`
	Reverse   attr[bool]           `hcl:"reverse,optional" default:"false"`
}

// trackServiceBlock is a `track_service` block.
type trackServiceBlock struct {
	At      hcl.Range    `hcl:",def_range"`
	Name    attr[string] `hcl:"name,label"`
	Service attr[string] `hcl:"service,optional" unset:"the name of the block"`
	Minimum attr[int64]  `hcl:"minimum,optional" unset:"the service's quorum" range:"1..65535"`
	Weight  attr[int64]  `hcl:"weight,optional" default:"0" range:"-253..253"`
	Reverse attr[bool]   `hcl:"reverse,optional" default:"false"`
}

// syncGroupBlock is a `sync_group` block.
type syncGroupBlock struct {
	At        hcl.Range            `hcl:",def_range"`
	Name      attr[string]         `hcl:"name,label"`
	Instances attr[[]item[string]] `hcl:"instances,attr" holds:"names of vrrp blocks"`
	Tracks    []*trackBlock        `hcl:"track,block"`
	Notify    *notifyBlock         `hcl:"notify,block"`
}

// trackBlock is a `track` block within a `vrrp` or a `sync_group` block: the use of a track, with its own weight.
type trackBlock struct {
	At      hcl.Range    `hcl:",def_range"`
	Name    attr[string] `hcl:"name,label"`
	Weight  attr[int64]  `hcl:"weight,optional" unset:"the track's" range:"-253..253"`
	Reverse attr[bool]   `hcl:"reverse,optional" unset:"the track's"`
}

// trackSettings are what all kinds of track have.
type trackSettings struct {
	at      hcl.Range
	kind    string
	name    *attr[string]
	weight  *attr[int64]
	reverse *attr[bool]
}

// tracks lists the tracks of all kinds.
func (f *file) tracks() []trackSettings {
	var all []trackSettings
	for _, b := range f.TrackScripts {
		all = append(all, trackSettings{b.At, "track_script", &b.Name, &b.Weight, &b.Reverse})
	}
	for _, b := range f.TrackFiles {
		all = append(all, trackSettings{b.At, "track_file", &b.Name, &b.Weight, &b.Reverse})
	}
	for _, b := range f.TrackProcesses {
		all = append(all, trackSettings{b.At, "track_process", &b.Name, &b.Weight, &b.Reverse})
	}
	for _, b := range f.TrackServices {
		all = append(all, trackSettings{b.At, "track_service", &b.Name, &b.Weight, &b.Reverse})
	}
	return all
}

// weightOf is the weight that the use of a track has, its own or the track's, and where to report it.
func (f *file) weightOf(use *trackBlock) (hcl.Range, int64) {
	if use.Weight.isSet() {
		return use.Weight.at(), use.Weight.value
	}
	for _, t := range f.tracks() {
		if t.name.value == use.Name.value {
			return use.At, t.weight.value
		}
	}
	return use.At, 0
}

// trackConfigs makes the plain values of the tracks.
func (f *file) trackConfigs() []Track {
	var all []Track
	for _, b := range f.TrackScripts {
		t := &TrackScript{
			Command: values(b.Command.value), Shell: b.Shell.value, User: b.User.value, Group: b.Group.value,
			Interval: b.Interval.value, Timeout: b.Timeout.value, Rise: int(b.Rise.value), Fall: int(b.Fall.value), Init: b.Init.value,
		}
		if !b.Timeout.isSet() {
			t.Timeout = t.Interval
		}
		all = append(all, Track{Name: b.Name.value, Script: t})
	}
	for _, b := range f.TrackFiles {
		all = append(all, Track{Name: b.Name.value, File: &TrackFile{Path: b.Path.value}})
	}
	for _, b := range f.TrackProcesses {
		t := &TrackProcess{
			Process: b.Process.value, Command: values(b.Command.value), Minimum: int(b.Minimum.value), Maximum: -1,
			DelayUp: b.DelayUp.value, DelayDown: b.DelayDown.value,
		}
		if t.Process == "" && len(t.Command) == 0 {
			t.Process = b.Name.value
		}
		if b.Maximum.isSet() {
			t.Maximum = int(b.Maximum.value)
		}
		all = append(all, Track{Name: b.Name.value, Process: t})
	}
	for _, b := range f.TrackServices {
		t := &TrackService{Service: b.service(), Minimum: int(b.Minimum.value)}
		all = append(all, Track{Name: b.Name.value, Service: t})
	}
	return all
}

func (b *trackServiceBlock) service() string {
	if b.Service.isSet() {
		return b.Service.value
	}
	return b.Name.value
}

// trackUses makes the plain values of the tracks that a block uses.
func (f *file) trackUses(blocks []*trackBlock) []TrackUse {
	if len(blocks) == 0 {
		return nil
	}
	byName := map[string]trackSettings{}
	for _, t := range f.tracks() {
		byName[t.name.value] = t
	}
	var all []TrackUse
	for _, b := range blocks {
		t := byName[b.Name.value]
		use := TrackUse{Name: b.Name.value, Weight: int(t.weight.value), Reverse: t.reverse.value}
		if b.Weight.isSet() {
			use.Weight = int(b.Weight.value)
		}
		if b.Reverse.isSet() {
			use.Reverse = b.Reverse.value
		}
		all = append(all, use)
	}
	return all
}
