package config

import (
	"net/netip"
	"reflect"
	"time"

	"github.com/hashicorp/hcl/v2"

	"github.com/lvs-ha/lvs-ha/healthcheck"
)

// healthCheckBlock is a `health_check` block within a `virtual_service` or a `real_server` block. It also has its kind's
// attributes and blocks.
type healthCheckBlock struct {
	At       hcl.Range           `hcl:",def_range"`
	Kind     attr[checkKind]     `hcl:"kind,label"`
	Interval attr[time.Duration] `hcl:"interval,optional" default:"2s" range:"10ms..24h"`
	Retry    attr[time.Duration] `hcl:"retry_interval,optional" unset:"interval" range:"10ms..24h"`
	Jitter   attr[time.Duration] `hcl:"jitter,optional" unset:"a twentieth of interval" holds:"1ms to interval"`
	Timeout  attr[time.Duration] `hcl:"timeout,optional" unset:"1s, or interval where that is shorter" range:"1ms..1h"`
	Rise     attr[int64]         `hcl:"rise,optional" default:"2" range:"1..1000"`
	Fall     attr[int64]         `hcl:"fall,optional" default:"3" range:"1..1000"`
	Address  attr[netip.Addr]    `hcl:"address,optional" unset:"the real server's"`
	Port     attr[int64]         `hcl:"port,optional" unset:"the real server's" range:"1..65535"`

	Source *sourceBlock `hcl:"source,block"`
	Weight *weightBlock `hcl:"weight,block"`

	Check   healthcheck.Check // nil if the kind is unknown
	decoded reflect.Value     // the decode struct of the kind
}

// sourceBlock is a `source` block within a `health_check` block.
type sourceBlock struct {
	At        hcl.Range        `hcl:",def_range"`
	Address   attr[netip.Addr] `hcl:"address,optional" unset:"the kernel's choice"`
	Interface attr[ifname]     `hcl:"interface,optional" unset:"as routed"`
	Mark      attr[int64]      `hcl:"mark,optional" unset:"none" range:"1..4294967295"`
}

// weightBlock is a `weight` block within a `health_check` block.
type weightBlock struct {
	At        hcl.Range           `hcl:",def_range"`
	Header    attr[string]        `hcl:"header,optional" unset:"none"`
	JSON      attr[string]        `hcl:"json,optional" unset:"none" holds:"names separated by dots"`
	Unit      attr[string]        `hcl:"unit,optional" unset:"weight; an agent's is percent" oneof:"weight|percent|added"`
	Minimum   attr[int64]         `hcl:"minimum,optional" default:"0" range:"0..2147483647"`
	Maximum   attr[int64]         `hcl:"maximum,optional" unset:"none" range:"1..2147483647"`
	Smoothing attr[time.Duration] `hcl:"smoothing,optional" default:"0s" range:"0s..1h"`
	Rate      attr[int64]         `hcl:"rate,optional" unset:"any" range:"1..2147483647"`
	Factor    attr[int64]         `hcl:"factor,optional" unset:"1, with unit = \"added\"" range:"-2147483647..2147483647"`
}

func (b *weightBlock) config() *healthcheck.Weight {
	if b == nil {
		return nil
	}
	factor := int(b.Factor.value)
	if b.Unit.value == string(healthcheck.Added) && !b.Factor.isSet() {
		factor = 1
	}
	return &healthcheck.Weight{
		Header: b.Header.value, JSON: b.JSON.value, Unit: healthcheck.Unit(b.Unit.value), Minimum: int(b.Minimum.value), Maximum: int(b.Maximum.value),
		Smoothing: b.Smoothing.value, Rate: int(b.Rate.value), Factor: factor,
	}
}

// location returns the position of a setting such as "weight.header", and whether its value is valid.
func (b *weightBlock) location(setting string) (at hcl.Range, ok bool) {
	switch setting {
	case "weight.header":
		return b.Header.location(0)
	case "weight.json":
		return b.JSON.location(0)
	case "weight.unit":
		return b.Unit.location(0)
	case "weight.factor":
		return b.Factor.location(0)
	case "weight.maximum":
		return b.Maximum.location(0)
	}
	return b.At, true
}

// checkKind is the label of a health check.
type checkKind healthcheck.Kind

func parseCheckKind(text string, t *tag) (checkKind, error) {
	known := *t
	known.OneOf = healthcheck.KindNames()
	return checkKind(text), known.checkWord(text)
}

// variant implements variant.
func (b *healthCheckBlock) variant() (decoded reflect.Value) {
	if !b.Kind.isOK() {
		return reflect.Value{}
	}
	b.Check = healthcheck.Kinds[healthcheck.Kind(b.Kind.value)]()
	b.decoded = newBlock(b.mirror().decode).Elem()
	return b.decoded
}

// variants implements variant.
func (b *healthCheckBlock) variants() map[string]reflect.Type {
	all := map[string]reflect.Type{}
	for kind, parameters := range healthcheck.Kinds {
		all[string(kind)] = mirrorOf(reflect.TypeOf(parameters()).Elem()).decode
	}
	return all
}

// complete implements variant.
func (b *healthCheckBlock) complete(directory string) hcl.Diagnostics {
	return b.mirror().copy(b.decoded, reflect.ValueOf(b.Check).Elem(), directory)
}

// explainUnknown implements variant.
func (b *healthCheckBlock) explainUnknown(name, what string) string {
	return explainVariant("health_check", string(b.Kind.value), name, what, b)
}

func (b *healthCheckBlock) mirror() *mirror { return mirrorOf(reflect.TypeOf(b.Check).Elem()) }

var healthCheckType = reflect.TypeFor[healthCheckBlock]()

const defaultTimeout = time.Second

// specs returns the plain values of health checks.
func specs(blocks []*healthCheckBlock) []healthcheck.Spec {
	var all []healthcheck.Spec
	for _, block := range blocks {
		all = append(all, block.spec())
	}
	return all
}

func (b *healthCheckBlock) spec() healthcheck.Spec {
	spec := healthcheck.Spec{
		Interval: b.Interval.value,
		Retry:    b.Retry.value,
		Jitter:   b.Jitter.value,
		Timeout:  b.Timeout.value,
		Rise:     int(b.Rise.value),
		Fall:     int(b.Fall.value),
		Address:  b.Address.value,
		Port:     uint16(b.Port.value),
		Weight:   b.Weight.config(),
		Check:    b.Check,
	}
	if b.Source != nil {
		spec.Source = healthcheck.Source{
			Address: b.Source.Address.value, Interface: string(b.Source.Interface.value), Mark: uint32(b.Source.Mark.value),
		}
	}
	if !b.Timeout.isSet() {
		spec.Timeout = min(defaultTimeout, spec.Interval)
	}
	return spec
}
