package doctor

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/host"
	"github.com/lvs-ha/lvs-ha/internal/sysctl"
	"github.com/lvs-ha/lvs-ha/ipvs"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// interfaces checks the interfaces that the configuration names.
func interfaces(cfg *config.Config, o *Observed) []Finding {
	type use struct {
		name, by string
		severity Severity
		why      string
	}
	var uses []use
	add := func(u use) {
		if !slices.ContainsFunc(uses, func(v use) bool { return v.name == u.name }) {
			uses = append(uses, u)
		}
	}
	for _, v := range cfg.VRRP {
		by := fmt.Sprintf("vrrp %q", v.Name)
		add(use{v.Interface, by, Error, "the instance stays in INITIALIZE without it"})
		for _, a := range v.Addresses {
			if a.Interface != "" {
				add(use{a.Interface, by, Error, "a virtual address is configured on it"})
			}
		}
		if v.ConnectionSync != nil {
			add(use{v.ConnectionSync.Interface, by + ", connection_sync", Error, "connections are not synchronized"})
		}
		for _, t := range v.TrackInterfaces {
			add(use{t.Interface, by + ", track_interface", Warning, "the track counts it as down"})
		}
	}
	for _, a := range cfg.Static.Addresses {
		add(use{a.Interface, fmt.Sprintf("static_address %q", a.Prefix), Error, "the address is configured on it"})
	}
	for _, r := range configuredRoutes(cfg) {
		for _, h := range hops(r.route) {
			if h.Interface != "" {
				add(use{h.Interface, r.by, Error, "the kernel refuses the route without it"})
			}
		}
	}
	var out []Finding
	for _, u := range uses {
		link, exists := o.link(u.name)
		switch {
		case !exists:
			out = append(out, Finding{Code: "interface-missing", Severity: u.severity, Subject: u.name,
				What: fmt.Sprintf("interface %s does not exist (%s)", u.name, u.by), Why: u.why, Remedy: "ip link show # and correct the name in the configuration"})
		case link.NoCarrier:
			out = append(out, Finding{Code: "interface-down", Severity: u.severity, Subject: u.name,
				What: fmt.Sprintf("%s has no carrier (%s)", u.name, u.by), Why: u.why, Remedy: "ethtool " + u.name + " # and check the cable and the switch port"})
		case !link.Up:
			out = append(out, Finding{Code: "interface-down", Severity: u.severity, Subject: u.name,
				What: fmt.Sprintf("%s is down (%s)", u.name, u.by), Why: u.why, Remedy: "ip link set dev " + u.name + " up"})
		}
	}
	if len(out) == 0 && len(uses) > 0 {
		out = append(out, ok("interface", "all configured interfaces are up"))
	}
	return out
}

// virtualAddresses checks that virtual addresses belong to a network of their interface and that adverts have a source
// address.
func virtualAddresses(cfg *config.Config, o *Observed) []Finding {
	var out []Finding
	for _, v := range cfg.VRRP {
		// Without a link the kernel adds no link-local address, and network daemons remove addresses: interfaces reports
		// the cause.
		if link, _ := o.link(v.Interface); link.Running() && !hasSource(cfg, o, v.Instance) {
			out = append(out, Finding{Code: "no-source", Severity: Error, Subject: v.Interface,
				What: fmt.Sprintf("%s has no %s address except virtual ones", v.Interface, v.Family),
				Why:  fmt.Sprintf("vrrp %q needs a source address for its adverts", v.Name), Remedy: sourceRemedy(v.Instance)})
		}
	}
	looked := 0
	for _, v := range virtuals(cfg) {
		if _, exists := o.link(v.iface); !exists {
			continue
		}
		looked++
		if v.prefix.Addr().IsLinkLocalUnicast() {
			continue // is in a network of every interface
		}
		networks := o.networks(v.iface, v.prefix.Addr().Is6())
		networks = slices.DeleteFunc(networks, func(n netip.Prefix) bool { return n.Addr().IsLinkLocalUnicast() })
		// A virtual address that is present adds its own network to the interface.
		others := slices.DeleteFunc(networks, func(n netip.Prefix) bool {
			return n == v.prefix.Masked() && !o.ownAddressIn(cfg, v.iface, n)
		})
		if len(others) == 0 || slices.ContainsFunc(others, func(n netip.Prefix) bool { return n.Contains(v.prefix.Addr()) }) {
			continue
		}
		out = append(out, Finding{Code: "address-outside", Severity: Warning, Subject: v.prefix.String(),
			What:   fmt.Sprintf("%s is not in a network of %s (%v)", v.prefix.Addr(), v.iface, others[0]),
			Why:    "hosts in that network send packets for it to their router, which needs a route for it",
			Remedy: "correct the address or the interface in the configuration, or add a route on the router"})
	}
	if len(out) == 0 && looked > 0 {
		out = append(out, ok("address", "virtual addresses are in networks of their interfaces"))
	}
	return out
}

// ownAddressIn reports whether the interface has a non-virtual address in the network.
func (o *Observed) ownAddressIn(cfg *config.Config, iface string, n netip.Prefix) bool {
	return slices.ContainsFunc(o.Addresses, func(a host.Address) bool {
		return a.Interface == iface && n.Contains(a.Prefix.Addr()) && !isVirtual(cfg, a.Interface, a.Prefix.Addr())
	})
}

func hasSource(cfg *config.Config, o *Observed, v vrrp.Instance) bool {
	if v.SourceAddress.IsValid() {
		return slices.ContainsFunc(o.Addresses, func(a host.Address) bool { return a.Prefix.Addr() == v.SourceAddress })
	}
	return slices.ContainsFunc(o.Addresses, func(a host.Address) bool {
		addr := a.Prefix.Addr()
		right := addr.Is4()
		if v.Family == vrrp.IPv6 {
			right = addr.Is6() && addr.IsLinkLocalUnicast()
		}
		return a.Interface == v.Interface && right && (!isVirtual(cfg, a.Interface, addr) || v.Priority == vrrp.PriorityOwner)
	})
}

func sourceRemedy(v vrrp.Instance) string {
	if v.SourceAddress.IsValid() {
		return fmt.Sprintf("add %s to an interface of this host, or correct source_address", v.SourceAddress)
	}
	if v.Family == vrrp.IPv6 {
		// The kernel creates the address when the mode changes (addrconf_sysctl_addr_gen_mode, net/ipv6/addrconf.c).
		mode := sysctl.Conf("ipv6", v.Interface, "addr_gen_mode")
		return fmt.Sprintf("sysctl -w %s=0 %s=1 %s=0", sysctl.Conf("ipv6", v.Interface, "disable_ipv6"), mode, mode)
	}
	return "ip address add ADDRESS/LENGTH dev " + v.Interface
}

// secondaries checks whether removing an address removes others too. The first address of a network on an interface is
// the primary one; when it is removed, the kernel removes the others in that network, unless promote_secondaries is set
// (__inet_del_ifa, net/ipv4/devinet.c).
func secondaries(cfg *config.Config, o *Observed) []Finding {
	var out []Finding
	var seen []string
	for _, v := range virtuals(cfg) {
		all, _ := o.sysctl(sysctl.Conf("ipv4", "all", "promote_secondaries"))
		key := sysctl.Conf("ipv4", v.iface, "promote_secondaries")
		own, known := o.sysctl(key)
		if !known || own == "1" || all == "1" || slices.Contains(seen, v.iface) || !o.sharesNetwork(cfg, v) {
			continue
		}
		seen = append(seen, v.iface)
		out = append(out, Finding{Code: "secondary-address", Severity: Warning, Subject: v.iface,
			What: fmt.Sprintf("%s is %s, and %s has other addresses in the network of %s", key, own, v.iface, v.prefix),
			Why: "when the first address in a network is removed, the kernel removes the others: a failover can remove this host's own address " +
				"(if it was added later, for example by a restart of the network) or another instance's"}.set(key, "1"))
	}
	return out
}

// sharesNetwork reports whether the interface has another address in the network of a virtual address: the host's own or
// one of another instance. IPv6 has no secondary addresses.
func (o *Observed) sharesNetwork(cfg *config.Config, v virtual) bool {
	if v.prefix.Addr().Is6() || v.prefix.IsSingleIP() {
		return false
	}
	own := slices.ContainsFunc(o.Addresses, func(a host.Address) bool {
		return a.Interface == v.iface && a.Prefix.Masked() == v.prefix.Masked() && !isVirtual(cfg, a.Interface, a.Prefix.Addr())
	})
	return own || slices.ContainsFunc(virtuals(cfg), func(w virtual) bool {
		return w.instance != v.instance && w.iface == v.iface && w.prefix.Masked() == v.prefix.Masked()
	})
}

// arpFlux checks for several interfaces in one network: Linux responds to ARP for any of its addresses on all of them.
func arpFlux(cfg *config.Config, o *Observed) []Finding {
	var out []Finding
	var seen []netip.Prefix
	for _, v := range virtuals(cfg) {
		if v.prefix.Addr().Is6() {
			continue
		}
		for _, n := range o.networks(v.iface, false) {
			if slices.Contains(seen, n) {
				continue
			}
			cards := o.cardsIn(n)
			if len(cards) < 2 || !slices.Contains(cards, v.iface) {
				continue
			}
			seen = append(seen, n)
			f := Finding{Code: "arp-flux", Severity: Warning, Subject: n.String(),
				What: fmt.Sprintf("%v are all in %s, and each answers ARP for the others' addresses", cards, n),
				Why:  "clients may learn the MAC address of an interface that does not have the virtual address or is not tracked"}
			for _, c := range cards {
				if o.effective(c, "arp_ignore") == 0 {
					f = f.set(sysctl.Conf("ipv4", c, "arp_ignore"), "1")
				}
				if o.effective(c, "arp_announce") < 2 {
					f = f.set(sysctl.Conf("ipv4", c, "arp_announce"), "2")
				}
			}
			if len(f.Fixes) > 0 {
				out = append(out, f)
			}
		}
	}
	return out
}

// cardsIn returns the interfaces with ARP that are up and have an address in the network.
func (o *Observed) cardsIn(n netip.Prefix) []string {
	var out []string
	for _, a := range o.Addresses {
		link, exists := o.link(a.Interface)
		if exists && link.Running() && link.Neighbors() && a.Prefix.Masked() == n && !slices.Contains(out, a.Interface) {
			out = append(out, a.Interface)
		}
	}
	return out
}

// loopbackAddresses checks for a director that is also a real server, or was configured as one.
func loopbackAddresses(cfg *config.Config, o *Observed) []Finding {
	var out []Finding
	for _, a := range o.Addresses {
		link, _ := o.link(a.Interface)
		if link.Neighbors() || !isVirtual(cfg, a.Interface, a.Prefix.Addr()) {
			continue
		}
		backupOnly, known := o.sysctl("net.ipv4.vs.backup_only")
		f := Finding{Code: "backup-only", Severity: Warning, Subject: a.Prefix.Addr().String(),
			What: fmt.Sprintf("%s is on %s: this director is also configured as a real server, and balances while it is backup", a.Prefix.Addr(), a.Interface),
			Why:  "packets that the active director forwards here are balanced again and may loop"}
		switch {
		case known && backupOnly == "0" && synchronizes(cfg):
			out = append(out, f.set("net.ipv4.vs.backup_only", "1"))
		case known && backupOnly != "0" && synchronizes(cfg):
		default:
			f.Remedy = fmt.Sprintf("lvs-ha realserver down --vip %s # or use connection_sync with net.ipv4.vs.backup_only=1", a.Prefix.Addr())
			out = append(out, f)
		}
	}
	for _, s := range byAddress(cfg, ipvs.DirectRoute, ipvs.Tunnel, ipvs.Masquerade) {
		if o.Routes[s.Address].Local {
			out = append(out, Finding{Code: "server-is-local", Severity: Info, Subject: s.Address.String(),
				What: fmt.Sprintf("real server %s is this host", s.Address),
				Why:  "a backup balances packets that the active director forwards to it, unless net.ipv4.vs.backup_only is 1"})
		}
	}
	return out
}
