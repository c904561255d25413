package effect

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/migrate"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// LVSHA returns what lvs-ha makes of a configuration.
func LVSHA(c *config.Config, of Interfaces) *Effect {
	e := &Effect{Rules: rulesOf(migrate.Entries(c))}
	for i := range c.VRRP {
		in := &c.VRRP[i].Instance
		e.Adverts = append(e.Adverts, advertsOf(c, &c.VRRP[i], of))
		iface := in.Interface
		if in.VMAC != nil {
			iface = in.VMAC.Interface
		}
		for _, a := range in.Addresses {
			e.Addresses = append(e.Addresses, ourAddress(a, iface, true))
		}
		e.routing(&in.Routing)
	}
	for _, a := range c.Static.Addresses {
		e.Addresses = append(e.Addresses, ourAddress(a, "", false))
	}
	e.routing(&c.Static.Routing)
	return e
}

func advertsOf(c *config.Config, v *config.VRRP, of Interfaces) string {
	r := &router{
		iface: v.Interface, id: int(v.VirtualRouterID), version: int(v.Version), ipv6: v.Family == vrrp.IPv6, priority: int(v.Priority),
		interval: v.AdvertiseInterval, to: v.UnicastPeers, source: v.SourceAddress, ttl: vrrp.HopLimit, password: v.AuthPass.Reveal(),
	}
	if len(r.to) == 0 {
		r.to = []netip.Addr{v.MulticastAddress}
		if !v.MulticastAddress.IsValid() {
			r.to = []netip.Addr{vrrp.MulticastAddress(v.Family)}
		}
	}
	if v.AuthHMAC != nil {
		r.key = int(v.AuthHMAC.ActiveKey)
	}
	if r.priority != 255 {
		r.priority = min(max(r.priority+offsetOf(c, v), 1), 254)
	}
	advert := v.Advert(uint8(r.priority))
	r.addresses = advert.Addresses
	return r.text(of, func(source, to netip.Addr) []byte {
		packet, err := advert.Append(nil, source, to)
		if err != nil {
			return []byte(err.Error())
		}
		if advert.Signed {
			packet = packet[:len(packet)-vrrp.TrailerLen]
		}
		return packet
	})
}

// offsetOf is what good tracks add to the priority.
func offsetOf(c *config.Config, v *config.VRRP) (sum int) {
	add := func(weight int, reverse bool) {
		_, offset := vrrp.Weigh(true, weight, reverse)
		sum += offset
	}
	for _, t := range v.TrackInterfaces {
		add(t.Weight, t.Reverse)
	}
	uses := v.Tracks
	if g := c.GroupOf(v.Name); g != nil {
		uses = append(uses[:len(uses):len(uses)], g.Tracks...)
	}
	for _, u := range uses {
		for _, t := range c.Tracks {
			if t.Name == u.Name && t.File == nil {
				add(u.Weight, u.Reverse)
			}
		}
	}
	return sum
}

func ourAddress(a vrrp.Address, iface string, virtual bool) string {
	if a.Interface != "" {
		iface = a.Interface
	}
	host := virtual && a.Prefix.Addr().Is6() && a.Prefix.Bits() == 128
	return interfaceAddress{
		prefix: a.Prefix, iface: iface, label: a.Label, scope: string(a.Scope), broadcast: a.Broadcast, peer: a.Peer,
		deprecated: a.Deprecated || host && !a.Preferred, noPrefixRoute: a.NoPrefixRoute,
	}.String()
}

func (e *Effect) routing(r *vrrp.Routing) {
	for _, route := range r.Routes {
		e.Routes = append(e.Routes, ourRoute(&route))
	}
	for _, rule := range r.Rules {
		e.Routes = append(e.Routes, ourRule(&rule))
	}
}

func ourRoute(r *vrrp.Route) string {
	var options pairs
	hop := func(p *pairs, via netip.Addr, iface string, onlink bool) {
		if via.IsValid() {
			p.add("via", via.String())
		}
		if iface != "" {
			p.add("dev", iface)
		}
		if onlink {
			p.add("onlink", "")
		}
	}
	hop(&options, r.Via, r.Interface, r.OnLink)
	if r.Source.IsValid() {
		options.add("src", r.Source.String())
	}
	if r.InTable() != vrrp.TableMain {
		options.add("table", fmt.Sprint(r.Table))
	}
	if r.Metric != 0 {
		options.add("metric", fmt.Sprint(r.Metric))
	}
	if r.Scope != "" && r.Scope != vrrp.ScopeGlobal {
		options.add("scope", string(r.Scope))
	}
	if r.MTU != 0 {
		options.add("mtu", fmt.Sprint(r.MTU))
	}
	for name, value := range r.PathMetrics {
		options.add(name, fmt.Sprint(value))
	}
	for _, h := range r.NextHops {
		var p pairs
		hop(&p, h.Via, h.Interface, h.OnLink)
		if h.Weight > 1 {
			p.add("weight", fmt.Sprint(h.Weight))
		}
		options.add("nexthop", p.String())
	}
	return strings.TrimSpace(strings.TrimSpace(string(r.Verdict)+" "+r.Destination.String()) + " " + options.String())
}

func ourRule(r *vrrp.Rule) string {
	var options pairs
	if r.From.IsValid() {
		options.add("from", r.From.String())
	}
	if r.To.IsValid() {
		options.add("to", r.To.String())
	}
	if r.Mask == 0xffffffff {
		options.add("fwmark", fmt.Sprint(r.Mark))
	} else if r.Mask != 0 {
		options.add("fwmark", fmt.Sprintf("%d/%#x", r.Mark, r.Mask))
	}
	if r.InputInterface != "" {
		options.add("iif", r.InputInterface)
	}
	if r.OutputInterface != "" {
		options.add("oif", r.OutputInterface)
	}
	options.add("priority", fmt.Sprint(r.Priority))
	action := string(r.Verdict)
	if r.Verdict == vrrp.Forward {
		action = fmt.Sprintf("lookup %d", r.Table)
	}
	return strings.Join(strings.Fields("rule: "+options.String()+" "+action), " ")
}
