package config

import (
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"

	"github.com/lvs-ha/lvs-ha/ipvs"
)

// Discover is a `discover` block within a `virtual_service` block: real servers that a source lists.
type Discover struct {
	Source
	Port   uint16        `json:"port,omitempty"` // of servers that are listed without one; 0: that of the service
	Drain  time.Duration `json:"drain"`          // how long a server that is no longer listed keeps its connections
	Server RealServer    `json:"server"`         // the settings of its servers; without address and port
}

// Source lists real servers. One of its fields but AllowEmpty is set.
type Source struct {
	DNS  *DNSSource  `json:"dns,omitempty"`
	File *FileSource `json:"file,omitempty"`

	AllowEmpty bool `json:"allow_empty,omitempty"` // an empty list is used, otherwise refused
}

// DNSSource is a `discover "dns"` block.
type DNSSource struct {
	Name      string           `json:"name"`
	Type      string           `json:"type"`                // A, AAAA or SRV
	Family    ipvs.Family      `json:"family"`              // of the addresses
	Resolvers []netip.AddrPort `json:"resolvers,omitempty"` // none: those of /etc/resolv.conf
	Timeout   time.Duration    `json:"timeout"`             // of a query
	MinTTL    time.Duration    `json:"min_ttl"`             // the next query is not before
	MaxTTL    time.Duration    `json:"max_ttl"`             // the next query is not after
}

// FileSource is a `discover "file"` block.
type FileSource struct {
	Path string `json:"path"`
}

// String returns the source's name in messages: "dns web.example.com", "file /etc/lvs-ha/web.json".
func (s Source) String() string {
	switch {
	case s.DNS != nil && s.DNS.Type == "SRV":
		return "dns SRV " + s.DNS.Name
	case s.DNS != nil:
		return "dns " + s.DNS.Name
	case s.File != nil:
		return "file " + s.File.Path
	}
	return "no source"
}

// Key identifies a source: two blocks with the same key have the same list.
func (s Source) Key() string {
	key := s.String()
	if d := s.DNS; d != nil {
		key += fmt.Sprintf(" %s %s %v %s %s %s", d.Type, d.Family, d.Resolvers, d.Timeout, d.MinTTL, d.MaxTTL)
	}
	if s.AllowEmpty {
		key += " allow_empty"
	}
	return key
}

// Sources returns the distinct sources of all services, by key.
func (c *Config) Sources() map[string]Source {
	all := map[string]Source{}
	for _, vs := range c.Services {
		for _, d := range vs.Discover {
			all[d.Key()] = d.Source
		}
	}
	return all
}

// discoverBlock is a `discover` block within a `virtual_service` block. It also has the attributes of its kind.
type discoverBlock struct {
	At             hcl.Range           `hcl:",def_range"`
	Kind           attr[string]        `hcl:"kind,label" oneof:"dns|file"`
	Port           attr[int64]         `hcl:"port,optional" unset:"that of the service; with SRV that of the record" range:"1..65535"`
	Weight         attr[int64]         `hcl:"weight,optional" unset:"1; with SRV that of the record" range:"0..2147483647"`
	Forwarding     attr[string]        `hcl:"forwarding,optional" unset:"that of the virtual_service" oneof:"nat|dr|tun"`
	UpperThreshold attr[int64]         `hcl:"upper_threshold,optional" default:"0" range:"0..4294967295"`
	LowerThreshold attr[int64]         `hcl:"lower_threshold,optional" default:"0" range:"0..4294967295"`
	AllowEmpty     attr[bool]          `hcl:"allow_empty,optional" default:"false"`
	Drain          attr[time.Duration] `hcl:"drain,optional" default:"1m" range:"0s..24h"`

	Tunnel *tunnelBlock `hcl:"tunnel,block"`

	dns  *dnsSourceBlock
	file *fileSourceBlock
}

// dnsSourceBlock are the attributes of a `discover "dns"` block.
type dnsSourceBlock struct {
	Name      attr[string]         `hcl:"name,attr" holds:"a domain name"`
	Type      attr[string]         `hcl:"type,optional" unset:"A, or AAAA in an IPv6 service" oneof:"A|AAAA|SRV"`
	Resolvers attr[[]item[string]] `hcl:"resolvers,optional" unset:"those of /etc/resolv.conf" holds:"addresses, with or without a port"`
	Timeout   attr[time.Duration]  `hcl:"timeout,optional" default:"2s" range:"10ms..30s"`
	MinTTL    attr[time.Duration]  `hcl:"min_ttl,optional" default:"1s" range:"100ms..24h"`
	MaxTTL    attr[time.Duration]  `hcl:"max_ttl,optional" default:"1m" range:"1s..24h"`
}

// fileSourceBlock are the attributes of a `discover "file"` block.
type fileSourceBlock struct {
	Path attr[string] `hcl:"path,attr" holds:"an absolute path"`
}

// variant implements variant.
func (b *discoverBlock) variant() reflect.Value {
	switch {
	case !b.Kind.isOK():
		return reflect.Value{}
	case b.Kind.value == "dns":
		b.dns = withDefaults[dnsSourceBlock]()
		return reflect.ValueOf(b.dns).Elem()
	}
	b.file = withDefaults[fileSourceBlock]()
	return reflect.ValueOf(b.file).Elem()
}

// variants implements variant.
func (*discoverBlock) variants() map[string]reflect.Type {
	return map[string]reflect.Type{"dns": reflect.TypeFor[dnsSourceBlock](), "file": reflect.TypeFor[fileSourceBlock]()}
}

// complete implements variant.
func (*discoverBlock) complete(string) hcl.Diagnostics { return nil }

// explainUnknown implements variant.
func (b *discoverBlock) explainUnknown(name, what string) string {
	return explainVariant("discover", b.Kind.value, name, what, b)
}

// explainVariant explains an attribute or a block that a block with this label does not have.
func explainVariant(block, label, name, what string, v variant) string {
	names := func(schema Block) []string {
		var all []string
		for _, a := range schema.Attributes {
			all = append(all, a.Name)
		}
		for _, inner := range schema.Blocks {
			all = append(all, inner.Type)
		}
		return all
	}
	var others []string
	variants := v.variants()
	for _, other := range slices.Sorted(maps.Keys(variants)) {
		if slices.Contains(names(ownSchema(variants[other])), name) {
			others = append(others, other)
		}
	}
	own := slices.Concat(names(ownSchema(reflect.TypeOf(v).Elem())), names(ownSchema(variants[label])))
	text := fmt.Sprintf("A %s %q has no %s %s", block, label, what, name)
	if len(others) > 0 {
		text += fmt.Sprintf("; a %s %s has one.", block, enumerate(others))
	} else {
		text += "." + didYouMean(name, own)
	}
	return fmt.Sprintf("%s It has: %s.", text, strings.Join(own, ", "))
}

// server returns the block's settings of real servers as a real_server block without an address.
func (b *discoverBlock) server() *realServerBlock {
	s := withDefaults[realServerBlock]()
	s.At, s.Forwarding, s.UpperThreshold, s.LowerThreshold, s.Tunnel = b.At, b.Forwarding, b.UpperThreshold, b.LowerThreshold, b.Tunnel
	if b.Weight.isSet() {
		s.Weight = b.Weight
	}
	return s
}

// isSRV reports whether the source lists ports and weights.
func (b *discoverBlock) isSRV() bool { return b.dns != nil && b.dns.Type.value == "SRV" }

// queryType returns the type of a DNS source's records.
func (b *discoverBlock) queryType(service *serviceBlock) string {
	switch {
	case b.dns.Type.isSet():
		return b.dns.Type.value
	case service.family() == "ipv6":
		return "AAAA"
	}
	return "A"
}

func (b *discoverBlock) config(service *serviceBlock) Discover {
	d := Discover{Port: uint16(b.Port.value), Drain: b.Drain.value, Server: service.server(b.server())}
	d.Server.DestinationKey = ipvs.DestinationKey{}
	d.AllowEmpty = b.AllowEmpty.value
	if b.file != nil {
		d.File = &FileSource{Path: b.file.Path.value}
		return d
	}
	dns := &DNSSource{
		Name: strings.TrimSuffix(b.dns.Name.value, "."), Type: b.queryType(service), Family: ipvs.IPv4,
		Timeout: b.dns.Timeout.value, MinTTL: b.dns.MinTTL.value, MaxTTL: b.dns.MaxTTL.value,
	}
	if dns.Type == "AAAA" || dns.Type == "SRV" && service.family() == "ipv6" {
		dns.Family = ipvs.IPv6
	}
	for _, r := range b.dns.Resolvers.value {
		at, _ := parseResolver(r.value)
		dns.Resolvers = append(dns.Resolvers, at)
	}
	d.DNS = dns
	return d
}

// parseResolver parses the address of a DNS server, with or without a port.
func parseResolver(text string) (netip.AddrPort, error) {
	at, err := parseEndpoint(text)
	if err == nil && !at.hasPort {
		at.port = 53
	}
	return netip.AddrPortFrom(at.address, at.port), err
}
