package doctor

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/host"
	"github.com/lvs-ha/lvs-ha/internal/sysctl"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// interfaces looks for the devices that the configuration names.
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
		add(use{v.Interface, by, Error, "the instance waits for it and takes no part"})
		for _, a := range v.Addresses {
			if a.Interface != "" {
				add(use{a.Interface, by, Error, "a virtual address is to be there"})
			}
		}
		if v.ConnectionSync != nil {
			add(use{v.ConnectionSync.Interface, by + ", connection_sync", Error, "connections are not synchronized"})
		}
		for _, t := range v.TrackInterfaces {
			add(use{t.Interface, by + ", track_interface", Warning, "it counts as a link that is down"})
		}
	}
	var out []Finding
	for _, u := range uses {
		link, exists := o.link(u.name)
		switch {
		case !exists:
			out = append(out, Finding{Code: "interface-missing", Severity: u.severity, Subject: u.name,
				What: fmt.Sprintf("there is no device %s (%s)", u.name, u.by), Why: u.why, Mend: "ip link show # and correct the name in the configuration"})
		case link.NoCarrier:
			out = append(out, Finding{Code: "interface-down", Severity: u.severity, Subject: u.name,
				What: fmt.Sprintf("%s has no carrier (%s)", u.name, u.by), Why: u.why, Mend: "ethtool " + u.name + " # and look at the cable and the switch port"})
		case !link.Up:
			out = append(out, Finding{Code: "interface-down", Severity: u.severity, Subject: u.name,
				What: fmt.Sprintf("%s is down (%s)", u.name, u.by), Why: u.why, Mend: "ip link set dev " + u.name + " up"})
		}
	}
	if len(out) == 0 && len(uses) > 0 {
		out = append(out, ok("interface", "all devices of the configuration are there and up"))
	}
	return out
}

// virtualAddresses looks whether virtual addresses fit the networks of their devices, and whether adverts have an
// address to come from.
func virtualAddresses(cfg *config.Config, o *Observed) []Finding {
	var out []Finding
	for _, v := range cfg.VRRP {
		// Without a link the kernel makes no link-local address, and a network daemon takes addresses away: interfaces
		// finds the cause.
		if link, _ := o.link(v.Interface); link.Running() && !hasSource(cfg, o, v.Instance) {
			out = append(out, Finding{Code: "no-source", Severity: Error, Subject: v.Interface,
				What: fmt.Sprintf("%s has no %s address of its own", v.Interface, v.Family),
				Why:  fmt.Sprintf("the adverts of vrrp %q have nothing to come from", v.Name), Mend: sourceMend(v.Instance)})
		}
	}
	looked := 0
	for _, v := range virtuals(cfg) {
		if _, exists := o.link(v.iface); !exists {
			continue
		}
		looked++
		if v.prefix.Addr().IsLinkLocalUnicast() {
			continue // is in the network of every device
		}
		networks := o.networks(v.iface, v.prefix.Addr().Is6())
		networks = slices.DeleteFunc(networks, func(n netip.Prefix) bool { return n.Addr().IsLinkLocalUnicast() })
		// Once it is there, its own network is on the device too.
		others := slices.DeleteFunc(networks, func(n netip.Prefix) bool {
			return n == v.prefix.Masked() && !o.ownAddressIn(cfg, v.iface, n)
		})
		if len(others) == 0 || slices.ContainsFunc(others, func(n netip.Prefix) bool { return n.Contains(v.prefix.Addr()) }) {
			continue
		}
		out = append(out, Finding{Code: "address-outside", Severity: Warning, Subject: v.prefix.String(),
			What: fmt.Sprintf("%s is in no network of %s (%v)", v.prefix.Addr(), v.iface, others[0]),
			Why:  "hosts there send packets for it to their router and not to the director; that is right only if the router has a route for it",
			Mend: "correct the address or the interface in the configuration, or add the route on the router"})
	}
	if len(out) == 0 && looked > 0 {
		out = append(out, ok("address", "virtual addresses fit their devices' networks"))
	}
	return out
}

// ownAddressIn reports whether the device has an address in the network that is not virtual.
func (o *Observed) ownAddressIn(cfg *config.Config, iface string, n netip.Prefix) bool {
	return slices.ContainsFunc(o.Addresses, func(a host.Address) bool {
		return a.Interface == iface && n.Contains(a.Prefix.Addr()) && !isVirtual(cfg, a.Prefix.Addr())
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
		return a.Interface == v.Interface && right && (!isVirtual(cfg, addr) || v.Priority == vrrp.PriorityOwner)
	})
}

func sourceMend(v vrrp.Instance) string {
	if v.SourceAddress.IsValid() {
		return fmt.Sprintf("give this machine %s, or correct source_address", v.SourceAddress)
	}
	if v.Family == vrrp.IPv6 {
		// The kernel makes the address when the mode changes (addrconf_sysctl_addr_gen_mode, net/ipv6/addrconf.c).
		mode := sysctl.Conf("ipv6", v.Interface, "addr_gen_mode")
		return fmt.Sprintf("sysctl -w %s=0 %s=1 %s=0", sysctl.Conf("ipv6", v.Interface, "disable_ipv6"), mode, mode)
	}
	return "ip address add ADDRESS/LENGTH dev " + v.Interface
}
