package config

import (
	"maps"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"

	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/internal/secret"
)

// healthCheckBlock is a `health_check` block within a `virtual_service` or a `real_server` block.
type healthCheckBlock struct {
	At       hcl.Range               `hcl:",def_range"`
	Kind     attr[string]            `hcl:"kind,label" oneof:"tcp|http|https"`
	Interval attr[time.Duration]     `hcl:"interval,optional" default:"2s" range:"10ms..24h"`
	Timeout  attr[time.Duration]     `hcl:"timeout,optional" unset:"1s, or interval where that is shorter" holds:"1ms to interval"`
	Rise     attr[int64]             `hcl:"rise,optional" default:"2" range:"1..1000"`
	Fall     attr[int64]             `hcl:"fall,optional" default:"3" range:"1..1000"`
	Address  attr[netip.Addr]        `hcl:"address,optional" unset:"the real server's"`
	Port     attr[int64]             `hcl:"port,optional" unset:"the real server's" range:"1..65535"`
	Method   attr[string]            `hcl:"method,optional" default:"GET" oneof:"GET|HEAD|OPTIONS|POST"`
	Path     attr[string]            `hcl:"path,optional" default:"/" holds:"begins with /"`
	Host     attr[string]            `hcl:"host,optional" unset:"the address"`
	Headers  attr[map[string]string] `hcl:"headers,optional" unset:"none"`
	Status   attr[[]item[string]]    `hcl:"status,optional" unset:"[\"200-299\"]" holds:"100 to 599, or ranges as \"200-299\""`
	Body     attr[string]            `hcl:"body,optional" unset:"none" holds:"a regular expression (RE2), at most 1 KiB"`

	TLS *tlsBlock `hcl:"tls,block"`
}

// tlsBlock is a `tls` block within a `health_check` block.
type tlsBlock struct {
	At         hcl.Range    `hcl:",def_range"`
	SkipVerify attr[bool]   `hcl:"skip_verify,optional" default:"false"`
	ServerName attr[string] `hcl:"server_name,optional" unset:"host, else the address"`
	CAFile     attr[string] `hcl:"ca_file,optional" unset:"the system's authorities"`
}

const defaultTimeout = time.Second

// specs makes the plain values of health checks.
func specs(blocks []*healthCheckBlock, directory string) []healthcheck.Spec {
	var all []healthcheck.Spec
	for _, block := range blocks {
		all = append(all, block.spec(directory))
	}
	return all
}

func (b *healthCheckBlock) spec(directory string) healthcheck.Spec {
	spec := healthcheck.Spec{
		Kind:     healthcheck.Kind(b.Kind.value),
		Interval: b.Interval.value,
		Timeout:  b.Timeout.value,
		Rise:     int(b.Rise.value),
		Fall:     int(b.Fall.value),
		Address:  b.Address.value,
		Port:     uint16(b.Port.value),
	}
	if !b.Timeout.isSet() {
		spec.Timeout = min(defaultTimeout, spec.Interval)
	}
	if spec.Kind == healthcheck.TCP {
		return spec
	}
	spec.HTTP = &healthcheck.HTTPSpec{
		Method: b.Method.value, Path: b.Path.value, Host: b.Host.value, Body: b.Body.value, Status: b.statusRanges(),
	}
	for _, name := range slices.Sorted(maps.Keys(b.Headers.value)) {
		header := healthcheck.Header{Name: name, Value: secret.Text(b.Headers.value[name])}
		spec.HTTP.Header = append(spec.HTTP.Header, header)
	}
	if spec.Kind == healthcheck.HTTPS {
		spec.TLS = &healthcheck.TLSSpec{}
		if b.TLS != nil {
			spec.TLS.SkipVerify = b.TLS.SkipVerify.value
			spec.TLS.ServerName = b.TLS.ServerName.value
			spec.TLS.CAFile = relativeTo(directory, b.TLS.CAFile.value)
		}
	}
	return spec
}

func (b *healthCheckBlock) statusRanges() []healthcheck.StatusRange {
	if !b.Status.isSet() {
		return []healthcheck.StatusRange{{First: 200, Last: 299}}
	}
	var ranges []healthcheck.StatusRange
	for _, text := range b.Status.value {
		if r, ok := parseStatus(text.value); ok {
			ranges = append(ranges, r)
		}
	}
	return ranges
}

// parseStatus takes "200" and "200-299".
func parseStatus(text string) (healthcheck.StatusRange, bool) {
	first, last, isRange := strings.Cut(text, "-")
	if !isRange {
		last = first
	}
	from, err1 := strconv.Atoi(first)
	to, err2 := strconv.Atoi(last)
	ok := err1 == nil && err2 == nil && 100 <= from && from <= to && to <= 599
	return healthcheck.StatusRange{First: from, Last: to}, ok
}

// relativeTo makes a file's name relative to a directory, unless it is absolute or empty.
func relativeTo(directory, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(directory, path)
}
