package config

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// routeBlock is a `route` block within a `vrrp` block, or a `static_route` block.
type routeBlock struct {
	At          hcl.Range          `hcl:",def_range"`
	Destination attr[netip.Prefix] `hcl:"destination,label"`
	Via         attr[netip.Addr]   `hcl:"via,optional" unset:"none"`
	Interface   attr[ifname]       `hcl:"interface,optional" unset:"that of the network of via"`
	Source      attr[netip.Addr]   `hcl:"source,optional" unset:"the kernel's choice"`
	Table       attr[int64]        `hcl:"table,optional" default:"254" range:"1..4294967295"`
	Metric      attr[int64]        `hcl:"metric,optional" unset:"0; with IPv6 1024" range:"0..4294967295"`
	Scope       attr[string]       `hcl:"scope,optional" unset:"global; without a gateway link" oneof:"global|site|link|host"`
	Type        attr[string]       `hcl:"type,optional" default:"unicast" oneof:"unicast|blackhole|unreachable|prohibit"`
	MTU         attr[int64]        `hcl:"mtu,optional" unset:"the interface's" range:"68..65535"`
	OnLink      attr[bool]         `hcl:"onlink,optional" default:"false"`

	PathMetrics attr[map[string]string] `hcl:"path_metrics,optional" unset:"none"`

	NextHops []*nextHopBlock `hcl:"next_hop,block"`
}

// nextHopBlock is a `next_hop` block within a route.
type nextHopBlock struct {
	At        hcl.Range        `hcl:",def_range"`
	Via       attr[netip.Addr] `hcl:"via,optional" unset:"none"`
	Interface attr[ifname]     `hcl:"interface,optional" unset:"that of the network of via"`
	Weight    attr[int64]      `hcl:"weight,optional" default:"1" range:"1..256"`
	OnLink    attr[bool]       `hcl:"onlink,optional" default:"false"`
}

// ruleBlock is a `rule` block within a `vrrp` block, or a `static_rule` block.
type ruleBlock struct {
	At       hcl.Range          `hcl:",def_range"`
	Priority attr[int64]        `hcl:"priority,attr" range:"1..32765"`
	From     attr[netip.Prefix] `hcl:"from,optional" unset:"all"`
	To       attr[netip.Prefix] `hcl:"to,optional" unset:"all"`
	Input    attr[ifname]       `hcl:"iif,optional" unset:"all"`
	Output   attr[ifname]       `hcl:"oif,optional" unset:"all"`
	Mark     attr[fwmark]       `hcl:"fwmark,optional" unset:"all" holds:"mark, or mark/mask"`
	Table    attr[int64]        `hcl:"table,optional" unset:"none: required unless type is set" range:"1..4294967295"`
	Type     attr[string]       `hcl:"type,optional" default:"lookup" oneof:"lookup|blackhole|unreachable|prohibit"`
}

// staticAddressBlock is a `static_address` block.
type staticAddressBlock struct {
	At          hcl.Range              `hcl:",def_range"`
	Prefix      attr[netip.Prefix]     `hcl:"address,label"`
	Interface   attr[ifname]           `hcl:"interface,attr"`
	Label       attr[string]           `hcl:"label,optional" unset:"none" holds:"at most 15 bytes, with IPv4"`
	Scope       attr[string]           `hcl:"scope,optional" default:"global" oneof:"global|site|link|host"`
	Broadcast   attr[broadcastAddress] `hcl:"broadcast,optional" unset:"auto" holds:"auto, none or an IPv4 address"`
	Peer        attr[netip.Addr]       `hcl:"peer,optional" unset:"none"`
	PrefixRoute attr[bool]             `hcl:"prefix_route,optional" default:"true"`
	Preferred   attr[bool]             `hcl:"preferred,optional" unset:"true, for an IPv6 host address false" holds:"true, false, with IPv6"`
}

// asVirtual returns the block in the form of an `address` block.
func (b *staticAddressBlock) asVirtual() *addressBlock {
	return &addressBlock{
		At: b.At, Prefix: b.Prefix, Interface: b.Interface, Label: b.Label, Scope: b.Scope, Broadcast: b.Broadcast, Peer: b.Peer,
		PrefixRoute: b.PrefixRoute, Preferred: b.Preferred,
	}
}

// fwmark is a firewall mark with its mask.
type fwmark struct{ mark, mask uint32 }

func parseFwmark(text string) (fwmark, error) {
	mark, mask, masked := strings.Cut(text, "/")
	m, err := strconv.ParseUint(mark, 0, 32)
	out := fwmark{uint32(m), 0xffffffff}
	if masked && err == nil {
		m, err = strconv.ParseUint(mask, 0, 32)
		out.mask = uint32(m)
	}
	switch {
	case err != nil:
		return fwmark{}, fmt.Errorf("%q is not a firewall mark. Write a number such as \"0x10\", or with a mask \"0x10/0xff\"", text)
	case out.mask == 0:
		return fwmark{}, errors.New("a mask of 0 matches all packets. Remove fwmark")
	case out.mark&^out.mask != 0:
		return fwmark{}, fmt.Errorf("%q matches no packet: the mark has bits that are not in the mask", text)
	}
	return out, nil
}

func verdict(name string) vrrp.Verdict {
	if name == "unicast" || name == "lookup" {
		return vrrp.Forward
	}
	return vrrp.Verdict(name)
}

func (b *routeBlock) route() vrrp.Route {
	r := vrrp.Route{
		Destination: b.Destination.value, Verdict: verdict(b.Type.value), Via: b.Via.value, Interface: string(b.Interface.value),
		Source: b.Source.value, Metric: uint32(b.Metric.value), Scope: vrrp.Scope(b.Scope.value), MTU: uint32(b.MTU.value), OnLink: b.OnLink.value,
	}
	if table := uint32(b.Table.value); table != vrrp.TableMain {
		r.Table = table
	}
	r.PathMetrics, _ = b.pathMetrics()
	for _, h := range b.NextHops {
		hop := vrrp.NextHop{Via: h.Via.value, Interface: string(h.Interface.value), OnLink: h.OnLink.value}
		if h.Weight.value > 1 {
			hop.Weight = int(h.Weight.value)
		}
		r.NextHops = append(r.NextHops, hop)
	}
	return r
}

// pathMetrics returns the numbers of path_metrics.
func (b *routeBlock) pathMetrics() (map[string]uint32, error) {
	if len(b.PathMetrics.value) == 0 {
		return nil, nil
	}
	out := map[string]uint32{}
	for _, name := range slices.Sorted(maps.Keys(b.PathMetrics.value)) {
		n, err := strconv.ParseUint(b.PathMetrics.value[name], 10, 32)
		if err != nil {
			return nil, fmt.Errorf("%q is not a number from 1 to 4294967295", name)
		}
		out[name] = uint32(n)
	}
	return out, nil
}

// rule returns the plain values. Without from and to, the family is the given one.
func (b *ruleBlock) rule(f vrrp.Family) vrrp.Rule {
	r := vrrp.Rule{
		Family: f, Priority: uint32(b.Priority.value), From: b.From.value, To: b.To.value, InputInterface: string(b.Input.value),
		OutputInterface: string(b.Output.value), Mark: b.Mark.value.mark, Mask: b.Mark.value.mask, Verdict: verdict(b.Type.value), Table: uint32(b.Table.value),
	}
	for _, p := range []netip.Prefix{b.To.value, b.From.value} {
		switch {
		case p.Addr().Is6():
			r.Family = vrrp.IPv6
		case p.IsValid():
			r.Family = vrrp.IPv4
		}
	}
	return r
}

// routing returns the valid routes and rules of blocks.
func routing(routes []*routeBlock, rules []*ruleBlock, f vrrp.Family) vrrp.Routing {
	var out vrrp.Routing
	for _, b := range routes {
		out.Routes = append(out.Routes, b.route())
	}
	for _, b := range rules {
		out.Rules = append(out.Rules, b.rule(f))
	}
	return out
}

func (f *file) static() vrrp.Static {
	s := vrrp.Static{Routing: routing(f.StaticRoutes, f.StaticRules, vrrp.IPv4)}
	for _, b := range f.StaticAddresses {
		a := vrrp.Address{Prefix: b.Prefix.value}
		b.asVirtual().set(&a)
		s.Addresses = append(s.Addresses, a)
	}
	return s
}

// placeOf returns the position of a message of package vrrp; false if that attribute is invalid.
func (b *routeBlock) placeOf(e vrrp.FieldError) (hcl.Range, bool) {
	switch e.Field {
	case "via":
		return b.Via.at(), b.Via.isOK()
	case "source":
		return b.Source.at(), b.Source.isOK()
	case "scope":
		return b.Scope.at(), b.Scope.isOK()
	case "type":
		return b.Type.at(), b.Type.isOK()
	case "onlink":
		return b.OnLink.at(), b.OnLink.isOK() && b.Via.isOK() && b.Interface.isOK()
	case "path_metrics":
		return b.PathMetrics.at(), b.PathMetrics.isOK()
	case "next_hop":
		if e.Index < 0 {
			return b.NextHops[0].At, true
		}
		h := b.NextHops[e.Index]
		return h.At, h.Via.isOK() && h.Interface.isOK()
	}
	return b.Destination.at(), b.Via.isOK() && b.Interface.isOK() && b.Type.isOK()
}

func (b *ruleBlock) placeOf(e vrrp.FieldError) (hcl.Range, bool) {
	switch e.Field {
	case "from":
		return b.From.at(), b.From.isOK() && b.To.isOK()
	case "to":
		return b.To.at(), b.From.isOK() && b.To.isOK()
	}
	return b.Table.at(), b.Table.isOK() && b.Type.isOK()
}

// validRouting validates routes and rules with package vrrp, and rejects those that are configured twice.
func validRouting(f *file) hcl.Diagnostics {
	var diags hcl.Diagnostics
	seen := map[string]hcl.Range{}
	unique := func(key, kind string, at hcl.Range) {
		if first, duplicate := seen[key]; duplicate {
			diags = append(diags, problem(at, "Duplicate "+kind, "%s is already configured at %s. Remove one of them, or change its metric or priority.", key, where(first)))
			return
		}
		seen[key] = at
	}
	add := func(routes []*routeBlock, rules []*ruleBlock, family vrrp.Family) {
		for b := range each(routes, &diags) {
			if !b.Destination.isOK() {
				continue
			}
			r := b.route()
			diags = append(diags, located(r.Validate(), b.placeOf)...)
			if _, err := b.pathMetrics(); err != nil {
				diags = append(diags, problem(b.PathMetrics.at(), "Invalid path_metrics", "%s", sentence(err)))
			}
			unique(r.Key(), "route", b.Destination.at())
		}
		for b := range each(rules, &diags) {
			r := b.rule(family)
			diags = append(diags, located(r.Validate(), b.placeOf)...)
			if b.Priority.isOK() && b.From.isOK() && b.To.isOK() && b.Table.isOK() && b.Mark.isOK() && b.Input.isOK() && b.Output.isOK() {
				unique(r.Key(), "rule", b.At)
			}
		}
	}
	for block := range each(f.VRRP, &diags) {
		add(block.Routes, block.Rules, block.family())
	}
	add(f.StaticRoutes, f.StaticRules, vrrp.IPv4)
	return diags
}

// located returns messages of package vrrp at their attributes.
func located(errs []vrrp.FieldError, placeOf func(vrrp.FieldError) (hcl.Range, bool)) hcl.Diagnostics {
	var diags hcl.Diagnostics
	for _, e := range errs {
		if at, ok := placeOf(e); ok {
			diags = append(diags, problem(at, "Invalid "+e.Field, "%s", fieldSentence(e)))
		}
	}
	return diags
}

// staticAddresses validates static addresses with package vrrp. One that is also a virtual address would be removed from a backup.
func staticAddresses(f *file) hcl.Diagnostics {
	var diags hcl.Diagnostics
	seen := map[netip.Addr]hcl.Range{}
	for block := range each(f.VRRP, &diags) {
		in := block.instance()
		for i, p := range block.prefixes() {
			seen[in.OnLink(in.Addresses[i])] = p.at
		}
	}
	for b := range each(f.StaticAddresses, &diags) {
		if !b.Prefix.isOK() {
			continue
		}
		p := prefix{item[netip.Prefix]{b.Prefix.value, b.Prefix.at()}, b.asVirtual(), false}
		a := vrrp.Address{Prefix: b.Prefix.value}
		p.block.set(&a)
		for _, e := range a.Validate() {
			if at, ok := p.placeOf(e); ok {
				what := attributeOf(e)
				if what == "" {
					what = "static_address"
				}
				diags = append(diags, problem(at, "Invalid "+what, "%s", fieldSentence(e)))
			}
		}
		if name := networkName(p.value); name != "" {
			diags = append(diags, problem(p.at, "Invalid static_address", "%s is the %s address of its network, not a host address.", p.value, name))
		}
		address := vrrp.OnLink(p.value.Addr(), string(b.Interface.value))
		if first, duplicate := seen[address]; duplicate {
			diags = append(diags, problem(p.at, "Duplicate address", "%s is already configured at %s. Remove one of them.", onInterface(address), where(first)))
		}
		seen[address] = p.at
	}
	return diags
}
