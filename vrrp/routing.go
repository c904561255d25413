package vrrp

import (
	"fmt"
	"maps"
	"math"
	"net/netip"
	"reflect"
	"slices"
	"strings"
)

// Routing is a set of routes and rules.
type Routing struct {
	Routes []Route `json:"routes,omitempty"`
	Rules  []Rule  `json:"rules,omitempty"`
}

// Static is what is configured regardless of any instance. Its addresses have an interface.
type Static struct {
	Addresses []Address `json:"addresses,omitempty"`
	Routing
}

// Verdict is what a route or a rule does with a packet.
type Verdict string

// The verdicts, with their names in iproute2. The empty one forwards the packet.
const (
	Forward     Verdict = ""
	Blackhole   Verdict = "blackhole"
	Unreachable Verdict = "unreachable"
	Prohibit    Verdict = "prohibit"
)

// TableMain is the routing table used if none is given (linux/rtnetlink.h, RT_TABLE_MAIN).
const TableMain = 254

// Route is a kernel route.
type Route struct {
	Destination netip.Prefix `json:"destination"`
	Verdict     Verdict      `json:"verdict,omitempty"`
	Via         netip.Addr   `json:"via,omitzero"`
	Interface   string       `json:"interface,omitempty"`
	Source      netip.Addr   `json:"source,omitzero"`  // of this host's packets
	Table       uint32       `json:"table,omitempty"`  // 0: TableMain
	Metric      uint32       `json:"metric,omitempty"` // 0: the kernel's default
	Scope       Scope        `json:"scope,omitempty"`  // IPv4 only; empty: link without a gateway, else global
	MTU         uint32       `json:"mtu,omitempty"`    // 0: the interface's
	OnLink      bool         `json:"on_link,omitempty"`
	NextHops    []NextHop    `json:"next_hops,omitempty"` // instead of Via and Interface

	PathMetrics map[string]uint32 `json:"path_metrics,omitempty"` // by their names in PathMetrics
}

// PathMetrics are the properties of a route's path, with their names in ip-route(8): the number in linux/rtnetlink.h, and the
// highest value, to which the kernel reduces a higher one (ip_metrics_convert, net/ipv4/metrics.c).
var PathMetrics = map[string]struct {
	Number uint16
	Most   uint32
}{
	"window": {3, math.MaxUint32}, "ssthresh": {6, math.MaxUint32}, "cwnd": {7, math.MaxUint32}, "advmss": {8, 65535 - 40}, "reordering": {9, math.MaxUint32},
	"hoplimit": {10, 255}, "initcwnd": {11, math.MaxUint32}, "rto_min": {13, math.MaxUint32}, "initrwnd": {14, math.MaxUint32}, "quickack": {15, math.MaxUint32},
}

// NextHop is one of several gateways of a route.
type NextHop struct {
	Via       netip.Addr `json:"via,omitzero"`
	Interface string     `json:"interface,omitempty"`
	Weight    int        `json:"weight,omitempty"` // 1..256; 0: 1
	OnLink    bool       `json:"on_link,omitempty"`
}

// Key identifies the route in the kernel.
func (r *Route) Key() string {
	text := r.Destination.String()
	if t := r.InTable(); t != TableMain {
		text += fmt.Sprintf(" table %d", t)
	}
	if m := r.EffectiveMetric(); m != 0 && (m != r.defaultMetric()) {
		text += fmt.Sprintf(" metric %d", m)
	}
	return text
}

// InTable returns the number of the route's table.
func (r *Route) InTable() uint32 {
	if r.Table == 0 {
		return TableMain
	}
	return r.Table
}

// EffectiveMetric returns the metric that the kernel uses.
func (r *Route) EffectiveMetric() uint32 {
	if r.Metric == 0 {
		return r.defaultMetric()
	}
	return r.Metric
}

// defaultMetric is IP6_RT_PRIO_USER of linux/ipv6_route.h, or 0.
func (r *Route) defaultMetric() uint32 {
	if r.Destination.Addr().Is6() {
		return 1024
	}
	return 0
}

func (r Route) String() string {
	if r.Verdict != Forward {
		return string(r.Verdict) + " " + r.Key()
	}
	return r.Key()
}

// Equal reports whether two routes are the same in all respects.
func (r *Route) Equal(other *Route) bool { return reflect.DeepEqual(r, other) }

// Rule selects the routing table for packets.
type Rule struct {
	Family          Family       `json:"family"`
	Priority        uint32       `json:"priority"`
	From            netip.Prefix `json:"from,omitzero"`
	To              netip.Prefix `json:"to,omitzero"`
	InputInterface  string       `json:"iif,omitempty"`
	OutputInterface string       `json:"oif,omitempty"`
	Mark            uint32       `json:"fwmark,omitempty"`
	Mask            uint32       `json:"fwmask,omitempty"` // 0: no mark is compared
	Verdict         Verdict      `json:"verdict,omitempty"`
	Table           uint32       `json:"table,omitempty"` // with Forward
}

func (r Rule) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d:", r.Priority)
	from := "all"
	if r.From.IsValid() && r.From.Bits() > 0 {
		from = r.From.String()
	}
	b.WriteString(" from " + from)
	if r.To.IsValid() && r.To.Bits() > 0 {
		b.WriteString(" to " + r.To.String())
	}
	if r.Mask != 0 {
		fmt.Fprintf(&b, " fwmark %#x/%#x", r.Mark, r.Mask)
	}
	if r.InputInterface != "" {
		b.WriteString(" iif " + r.InputInterface)
	}
	if r.OutputInterface != "" {
		b.WriteString(" oif " + r.OutputInterface)
	}
	if r.Verdict != Forward {
		return b.String() + " " + string(r.Verdict)
	}
	return b.String() + fmt.Sprintf(" lookup %d", r.Table)
}

// Key identifies the rule in the kernel.
func (r *Rule) Key() string { return r.Family.String() + " " + r.String() }

// Empty reports whether there is neither a route nor a rule.
func (r *Routing) Empty() bool { return len(r.Routes)+len(r.Rules) == 0 }

// changesTo returns the routes and rules to remove and those to add. A route that keeps its key but changes in other respects is
// only added, which replaces it.
func (r *Routing) changesTo(now *Routing) (removed, added Routing) {
	for _, old := range r.Routes {
		if !slices.ContainsFunc(now.Routes, func(n Route) bool { return n.Key() == old.Key() }) {
			removed.Routes = append(removed.Routes, old)
		}
	}
	for _, n := range now.Routes {
		if !slices.ContainsFunc(r.Routes, func(old Route) bool { return n.Equal(&old) }) {
			added.Routes = append(added.Routes, n)
		}
	}
	without := func(list, other []Rule) (out []Rule) {
		for _, x := range list {
			if !slices.Contains(other, x) {
				out = append(out, x)
			}
		}
		return out
	}
	removed.Rules, added.Rules = without(r.Rules, now.Rules), without(now.Rules, r.Rules)
	return removed, added
}

// replacements returns the added routes that replace one of r.
func (r *Routing) replacements(added *Routing) (out Routing) {
	for _, n := range added.Routes {
		if slices.ContainsFunc(r.Routes, func(old Route) bool { return old.Key() == n.Key() }) {
			out.Routes = append(out.Routes, n)
		}
	}
	return out
}

// Changes returns what to remove and what to add to get from s to now.
func (s *Static) Changes(now *Static) (removed, added Static) {
	removed.Addresses, added.Addresses = addressChanges(s.Addresses, now.Addresses)
	removed.Routing, added.Routing = s.Routing.changesTo(&now.Routing)
	return removed, added
}

// Validate returns the errors of a route, each with its attribute.
func (r *Route) Validate() []FieldError {
	var v validation
	f := IPv4
	if r.Destination.Addr().Is6() {
		f = IPv6
	}
	if r.Destination != r.Destination.Masked() {
		v.field("destination", "%s has host bits: write %s", r.Destination, r.Destination.Masked())
	}
	if wrong := gatewayFault(f, r.Via, r.Interface); wrong != "" {
		v.field("via", "%s", wrong)
	}
	if r.Source.IsValid() && !f.has(r.Source) {
		v.field("source", "%s is not an %s address", r.Source, f)
	}
	if f == IPv6 && r.Scope != "" {
		v.field("scope", "has no effect with IPv6")
	}
	switch reached := r.Via.IsValid() || r.Interface != ""; {
	case r.Verdict != Forward && (reached || len(r.NextHops) > 0):
		v.field("type", "a %s route has neither a gateway nor an interface", r.Verdict)
	case len(r.NextHops) > 0 && reached:
		v.field("next_hop", "is an alternative to via and interface: write them in a next_hop block")
	case r.Verdict == Forward && len(r.NextHops) == 0 && !reached:
		v.field("destination", "%s needs via, interface or next_hop blocks", r.Destination)
	}
	for _, name := range slices.Sorted(maps.Keys(r.PathMetrics)) {
		value := r.PathMetrics[name]
		switch known, ok := PathMetrics[name]; {
		case !ok:
			v.field("path_metrics", "%q is unknown; known are %s", name, strings.Join(slices.Sorted(maps.Keys(PathMetrics)), ", "))
		case value < 1 || value > known.Most:
			v.field("path_metrics", "%q must be from 1 to %d", name, known.Most)
		}
	}
	if r.OnLink && (!r.Via.IsValid() || r.Interface == "") {
		v.field("onlink", "needs via and interface")
	}
	for i, h := range r.NextHops {
		if !h.Via.IsValid() && h.Interface == "" {
			v.element("next_hop", i, "needs via or interface")
		}
		if wrong := gatewayFault(f, h.Via, h.Interface); wrong != "" {
			v.element("next_hop", i, "%s", wrong)
		}
		if h.OnLink && (!h.Via.IsValid() || h.Interface == "") {
			v.element("next_hop", i, "onlink needs via and interface")
		}
	}
	return v.errs
}

// gatewayFault returns why an address cannot be the gateway of a route through an interface, or "".
func gatewayFault(f Family, via netip.Addr, iface string) string {
	switch {
	case !via.IsValid():
	case !f.has(via) || via.IsMulticast() || via.IsUnspecified():
		return fmt.Sprintf("%s is not an %s host address", via, f)
	case f == IPv6 && via.IsLinkLocalUnicast() && iface == "":
		return fmt.Sprintf("%s is a link-local address, which needs interface", via)
	}
	return ""
}

// Validate returns the errors of a rule, each with its attribute.
func (r *Rule) Validate() []FieldError {
	var v validation
	for _, side := range []struct {
		name   string
		prefix netip.Prefix
	}{{"from", r.From}, {"to", r.To}} {
		switch {
		case !side.prefix.IsValid():
		case !r.Family.has(side.prefix.Addr()):
			v.field(side.name, "%s is not an %s network", side.prefix, r.Family)
		case side.prefix != side.prefix.Masked():
			v.field(side.name, "%s has host bits: write %s", side.prefix, side.prefix.Masked())
		}
	}
	switch {
	case r.Verdict == Forward && r.Table == 0:
		v.field("table", "is required, unless type is set")
	case r.Verdict != Forward && r.Table != 0:
		v.field("table", "has no effect with type = %q", string(r.Verdict))
	}
	return v.errs
}

func (v *validation) routing(in *Instance) {
	seen := map[string]bool{}
	add := func(field string, i int, key string, errs []FieldError) {
		for _, e := range errs {
			v.element(field, i, "%s: %s", e.Field, e.Msg)
		}
		if seen[key] {
			v.element(field, i, "%s is listed twice", key)
		}
		seen[key] = true
	}
	for i := range in.Routes {
		add("route", i, in.Routes[i].Key(), in.Routes[i].Validate())
	}
	for i := range in.Rules {
		add("rule", i, in.Rules[i].Key(), in.Rules[i].Validate())
	}
}
