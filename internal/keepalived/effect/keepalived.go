package effect

import (
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/keepalived"
)

// Keepalived returns what keepalived makes of a configuration.
func Keepalived(c *keepalived.Config, of Interfaces) *Effect {
	k := &theirs{config: c, interfaces: of, effect: &Effect{}}
	k.services()
	k.routers()
	for _, n := range c.Nodes {
		for _, v := range n.Values {
			switch n.Keyword {
			case "static_ipaddress":
				k.address(v.Words, "", "", false)
			case "static_routes":
				k.route(v.Words)
			case "static_rules":
				k.rule(v.Words)
			}
		}
	}
	return k.effect
}

type theirs struct {
	config     *keepalived.Config
	interfaces Interfaces
	effect     *Effect
	vmacs      map[string]bool // names that keepalived chose
}

// global returns the arguments of the last line of global_defs with a keyword.
func (k *theirs) global(keyword string) (args []string, is bool) {
	for _, n := range k.config.Nodes {
		if n.Keyword == "global_defs" {
			for _, l := range n.All(keyword) {
				args, is = l.Args, true
			}
		}
	}
	return args, is
}

// last returns the first argument of the last line with one of the keywords, or "".
func last(n *keepalived.Node, keywords ...string) string {
	if l := n.Last(keywords...); l != nil && len(l.Args) > 0 {
		return l.Args[0]
	}
	return ""
}

// valid returns the last argument of lines with a keyword that is a number in a range.
func valid(n *keepalived.Node, keyword string, lowest, highest, otherwise int) int {
	for _, l := range n.All(keyword) {
		if len(l.Args) > 0 {
			if v, err := strconv.Atoi(l.Args[0]); err == nil && v >= lowest && v <= highest {
				otherwise = v
			}
		}
	}
	return otherwise
}

// loose is valid where keepalived does not insist on a number.
func loose(n *keepalived.Node, keyword string, lowest, highest, otherwise int) int {
	for _, l := range n.All(keyword) {
		if len(l.Args) > 0 {
			if v, _, ok := keepalived.Int(l.Args[0], lowest, highest); ok {
				otherwise = v
			}
		}
	}
	return otherwise
}

func on(args []string) bool {
	return len(args) == 0 || slices.Contains([]string{"true", "on", "yes"}, args[0])
}

func address(text string) (netip.Prefix, bool) {
	p, _, ok := keepalived.Prefix(text)
	return p, ok
}

// host parses an address, of which keepalived cuts off a range or else a length.
func host(text string) (netip.Addr, bool) {
	at := strings.IndexByte(text, '-')
	if at < 0 {
		at = strings.IndexByte(text, '/')
	}
	if at >= 0 {
		text = text[:at]
	}
	a, err := netip.ParseAddr(text)
	return a, err == nil
}

// strict reports whether an instance is in strict mode.
func (k *theirs) strict(n *keepalived.Node) bool {
	args, is := k.global("vrrp_strict")
	strict := is && on(args)
	for _, l := range n.All("strict_mode") {
		if on(l.Args) || slices.Contains([]string{"false", "off", "no"}, l.Args[0]) {
			strict = on(l.Args)
		}
	}
	return strict
}

// runs reports whether keepalived runs an instance (keepalived/vrrp/vrrp.c, vrrp_complete_instance). In strict mode, it has no unicast on
// an interface with multicast, and needs an address.
func (k *theirs) runs(n *keepalived.Node, r *router) bool {
	unicast := !r.to[0].IsMulticast()
	switch {
	case r.id == 0 || r.iface == "":
		return false
	case !unicast && n.Last("unicast_fault_no_peer") != nil:
		return false
	case r.version == 3 && len(r.addresses) == 0 && n.Last("no_virtual_ipaddress") == nil:
		return false
	}
	return !k.strict(n) || !unicast && len(r.addresses) > 0
}

// routers computes adverts, and what belongs to the instances.
func (k *theirs) routers() {
	names := map[string]bool{}
	taken := map[[3]any]bool{}
	for _, n := range k.config.Nodes {
		if n.Keyword != "vrrp_instance" || len(n.Args) != 1 || names[n.Args[0]] {
			continue
		}
		names[n.Args[0]] = true
		r := k.router(n)
		if !k.runs(n, r) || taken[[3]any{r.iface, r.id, r.ipv6}] {
			continue
		}
		taken[[3]any{r.iface, r.id, r.ipv6}] = true
		_, globally := k.global("v3_checksum_as_v2")
		if args, _ := k.global("v3_checksum_as_v2"); globally {
			globally = on(args)
		}
		if l := n.Last("v3_checksum_as_v2"); l != nil {
			globally = on(l.Args)
		}
		k.effect.Adverts = append(k.effect.Adverts, r.text(k.interfaces, func(source, to netip.Addr) []byte { return r.encode(source, to, globally && !r.ipv6) }))
		iface := r.iface
		if use := n.Last("use_vmac"); use != nil {
			iface = k.vmacOf(use.Args, r)
		}
		k.belongings(n, r, iface)
	}
}

// router reads an instance.
func (k *theirs) router(n *keepalived.Node) *router {
	r := &router{interval: time.Second, ttl: 255}
	r.id = valid(n, "virtual_router_id", 1, 255, 0)
	for _, l := range n.All("interface") {
		if len(l.Args) > 0 && len(l.Args[0]) < 16 {
			r.iface = l.Args[0]
		}
	}
	r.ipv6 = familyOf(n) == 6
	r.version = k.version(n, r.ipv6)
	master := slices.ContainsFunc(n.All("state"), func(l *keepalived.Node) bool { return len(l.Args) > 0 && l.Args[0] == "MASTER" })
	r.priority = 100
	if l := n.Last("priority"); l != nil {
		r.priority = valid(n, "priority", 1, 255, 100)
	} else if master {
		r.priority = 255
	}
	if seconds, err := strconv.ParseFloat(last(n, "advert_int"), 64); err == nil && seconds >= 0.01 && seconds <= 255 {
		r.interval = time.Duration(math.Round(seconds*1e6)) * time.Microsecond
	}
	unit, most := time.Second, 255*time.Second
	if r.version == 3 {
		unit, most = 10*time.Millisecond, 40950*time.Millisecond
	}
	r.interval = min(max(r.interval.Round(unit), unit), most)
	r.ttl = valid(n, "unicast_ttl", 1, 255, 255)
	k.endpoints(n, r)
	k.secrets(n, r)
	for _, l := range n.All("virtual_ipaddress") {
		for _, v := range l.Values {
			if p, ok := address(v.Words[0]); ok && p.Addr().Is6() == r.ipv6 && !slices.Contains(r.addresses, p.Addr()) {
				r.addresses = append(r.addresses, p.Addr())
			}
		}
	}
	slices.SortStableFunc(r.addresses, func(a, b netip.Addr) int { // the order has no effect, and RFC 9568 wants these first
		switch ll := a.IsLinkLocalUnicast() && a.Is6(); {
		case ll == (b.IsLinkLocalUnicast() && b.Is6()):
			return 0
		case ll:
			return -1
		}
		return 1
	})
	if r.priority != 255 {
		r.priority = min(max(r.priority+k.offset(n), 1), 254)
	}
	return r
}

// familyOf returns the family of the first address, or of the word native_ipv6.
func familyOf(n *keepalived.Node) int {
	of := func(text string) int {
		p, ok := address(text)
		switch {
		case !ok:
			return 0
		case p.Addr().Is6():
			return 6
		}
		return 4
	}
	ofHost := func(text string) int {
		if a, ok := host(text); ok {
			return of(a.String())
		}
		return 0
	}
	for _, l := range n.Children {
		family := 0
		switch l.Keyword {
		case "native_ipv6":
			family = 6
		case "mcast_src_ip", "unicast_src_ip", "mcast_dst_ip":
			if len(l.Args) > 0 {
				family = ofHost(l.Args[0])
			}
		case "virtual_ipaddress":
			for _, v := range l.Values {
				if family == 0 {
					family = of(v.Words[0])
				}
			}
		case "unicast_peer":
			for _, v := range l.Values {
				if family == 0 {
					family = ofHost(v.Words[0])
				}
			}
		}
		if family != 0 {
			return family
		}
	}
	return 4
}

func (k *theirs) version(n *keepalived.Node, ipv6 bool) int {
	if ipv6 && (n.Last("native_ipv6") != nil || k.strict(n)) {
		return 3
	}
	for _, l := range n.All("version") {
		if len(l.Args) > 0 {
			if v, _, ok := keepalived.Int(l.Args[0], 2, 3); ok {
				return v
			}
		}
	}
	if ipv6 {
		return 3
	}
	version := 2
	for _, g := range k.config.Nodes {
		if g.Keyword == "global_defs" {
			version = loose(g, "vrrp_version", 2, 3, version)
		}
	}
	return version
}

// endpoints reads where adverts come from and go to.
func (k *theirs) endpoints(n *keepalived.Node, r *router) {
	if a, ok := host(last(n, "mcast_src_ip", "unicast_src_ip")); ok && a.Is6() == r.ipv6 {
		r.source = a
	}
	for _, l := range n.All("unicast_peer") {
		for _, v := range l.Values {
			if a, ok := host(v.Words[0]); ok && a.Is6() == r.ipv6 && !slices.Contains(r.to, a) {
				r.to = append(r.to, a)
			}
		}
	}
	if len(r.to) > 0 {
		return
	}
	r.ttl = 255
	group, keyword := "224.0.0.18", "vrrp_mcast_group4"
	if r.ipv6 {
		group, keyword = "ff02::12", "vrrp_mcast_group6"
	}
	to := netip.MustParseAddr(group)
	args, _ := k.global(keyword)
	for _, text := range append(args[:min(len(args), 1)], last(n, "mcast_dst_ip")) {
		if a, ok := host(text); ok && a.IsMulticast() && a.Is6() == r.ipv6 {
			to = a
		}
	}
	r.to = []netip.Addr{to}
}

func (k *theirs) secrets(n *keepalived.Node, r *router) {
	if l := n.Last("authentication"); l != nil && r.version == 2 && !k.strict(n) && last(l, "auth_type") == "PASS" {
		r.password = last(l, "auth_pass")
		r.password = r.password[:min(len(r.password), 8)]
	}
	if l := n.Last("auth_hmac"); l != nil {
		r.key = valid(l, "active_key", 1, 255, 0)
		if !slices.ContainsFunc(l.All("key"), func(k *keepalived.Node) bool { return len(k.Args) > 1 && k.Args[0] == strconv.Itoa(r.key) }) {
			r.key = 0
		} else {
			r.password = ""
		}
	}
}
