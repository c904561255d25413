package realserver

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/lvs-ha/lvs-ha/internal/host"
	"github.com/lvs-ha/lvs-ha/internal/sysctl"
)

const everywhere = "all" // the parameter's value for all devices

func conf(iface, name string) string { return sysctl.Conf("ipv4", iface, name) }

// stricter are values of arp_ignore that also satisfy the requirement for 1 (ip-sysctl.rst).
var stricter = []string{"2", "8"}

// arpIgnore makes a device answer ARP only for its own addresses.
func arpIgnore(iface string) sysctl.Setting {
	return sysctl.Setting{Key: conf(iface, "arp_ignore"), Value: "1", Accept: stricter}
}

// arpAnnounce keeps virtual addresses out of ARP requests.
func arpAnnounce(iface string) sysctl.Setting {
	return sysctl.Setting{Key: conf(iface, "arp_announce"), Value: "2"}
}

// looseSource lets a tunnel accept packets from clients in other networks. The kernel uses the greater of this value and
// the one for all devices: 2 works even if that is 1, but 0 would not. It requires an address on the tunnel
// (fib_validate_source, net/ipv4/fib_frontend.c).
func looseSource(iface string) sysctl.Setting {
	return sysctl.Setting{Key: conf(iface, "rp_filter"), Value: "2"}
}

// placed is a virtual address and its device.
type placed struct {
	address netip.Addr
	device  device
}

// placements returns all addresses that this host must have, with their devices: none for NAT.
func (w Wanted) placements() []placed {
	var out []placed
	for _, v := range w.VIPs {
		d, err := v.device()
		if p := (placed{v.Address, d}); err == nil && d.name != "" && !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out
}

// settings returns the kernel parameters that the addresses require.
func settings(places []placed, o Observed) []sysctl.Setting {
	var out []sysctl.Setting
	add := func(s sysctl.Setting) {
		if !slices.ContainsFunc(out, func(t sysctl.Setting) bool { return t.Key == s.Key }) {
			out = append(out, s)
		}
	}
	for _, p := range places {
		if !p.address.Is4() {
			continue
		}
		for _, iface := range []string{everywhere, p.device.name} {
			add(arpIgnore(iface))
			add(arpAnnounce(iface))
		}
		if p.device.name != loopback && p.device.module != "" {
			add(looseSource(p.device.name))
		}
	}
	if len(out) == 0 {
		return nil
	}
	// A greater value of another device overrides the one for all, and is not always stricter.
	for _, l := range o.Links {
		for _, s := range []sysctl.Setting{arpIgnore(l.Name), arpAnnounce(l.Name)} {
			v, exists := o.Sysctls[s.Key]
			if exists && !l.Loopback && !l.NoARP && !s.Good(v) && sysctl.Greater(v, s.Value) {
				add(s)
			}
		}
	}
	return out
}

// Script returns all steps to the wanted state, in order: devices, ARP suppression, then addresses.
func Script(w Wanted, o Observed) []Step {
	var steps []Step
	add := func(s Step) {
		if !slices.Contains(steps, s) {
			steps = append(steps, s)
		}
	}
	places := w.placements()
	for _, p := range places {
		if p.device.module != "" {
			add(Step{Action: LoadModule, Module: p.device.module, Interface: p.device.name})
		}
		if p.device.port != 0 {
			add(Step{Action: LoadModule, Module: "fou"})
		}
	}
	for _, p := range places {
		if p.device.any {
			add(Step{Action: TakeAny, Interface: p.device.name})
		}
		if p.device.port != 0 {
			add(Step{Action: AddFOU, IPv6: !p.device.outer4, Port: p.device.port})
		}
		add(Step{Action: SetUp, Interface: p.device.name})
	}
	for _, s := range settings(places, o) {
		add(Step{Action: SetSysctl, Key: s.Key, Value: s.Value})
	}
	for _, p := range places {
		add(Step{Action: AddAddress, Interface: p.device.name, Address: p.address})
		if p.address.Is4() {
			add(Step{Action: AddRoute, Interface: p.device.name, Address: p.address})
		}
	}
	return steps
}

// Up returns the steps from the observed to the wanted state: none if they are the same. If modules are missing, it
// returns only the steps that load them, because the other steps depend on devices that they create.
func Up(w Wanted, o Observed) ([]Step, error) {
	if err := errors.Join(w.Validate(), conflicts(w, o)); err != nil {
		return nil, err
	}
	var modules, steps []Step
	for _, s := range Script(w, o) {
		switch {
		case s.done(o):
		case s.Action == LoadModule:
			modules = append(modules, s)
		default:
			s.Before = o.Sysctls[s.Key]
			steps = append(steps, s)
		}
	}
	if len(modules) > 0 {
		return modules, nil
	}
	return steps, nil
}

// done reports whether the step has already taken effect.
func (s Step) done(o Observed) bool {
	link, exists := o.link(s.Interface)
	switch s.Action {
	case LoadModule:
		return exists || s.Interface == "" && o.FOU != nil
	case SetUp:
		return link.Up
	case SetDown:
		return !link.Up
	case TakeAny:
		return link.Any
	case TakeIPv6:
		return !link.Any
	case AddFOU, RemoveFOU:
		return slices.Contains(o.FOU, FOU{IPv6: s.IPv6, Port: s.Port}) == (s.Action == AddFOU)
	case SetSysctl:
		now, exists := o.Sysctls[s.Key]
		return exists && settingOf(s).Good(now)
	case AddAddress, RemoveAddress:
		return o.has(host.Address{Interface: s.Interface, Prefix: HostPrefix(s.Address)}) == (s.Action == AddAddress)
	case AddRoute, RemoveRoute:
		return o.routed(s.Interface, s.Address) == (s.Action == AddRoute)
	}
	return false
}

// settingOf returns the setting of a step, with the other acceptable values.
func settingOf(s Step) sysctl.Setting {
	setting := sysctl.Setting{Key: s.Key, Value: s.Value}
	if strings.HasSuffix(s.Key, ".arp_ignore") && s.Value == "1" {
		setting.Accept = stricter
	}
	return setting
}

// conflicts returns an error for each obstacle that lvs-ha must not remove itself.
func conflicts(w Wanted, o Observed) error {
	var errs []error
	places := w.placements()
	for _, v := range w.VIPs {
		for _, h := range o.entries(v.Address) {
			if problem := o.misplaced(v, h, places); problem != "" {
				errs = append(errs, fmt.Errorf("%s: %s: remove it: %s", v.Address, problem, o.removal(h)))
			}
		}
	}
	for _, p := range places {
		link, exists := o.link(p.device.name)
		switch {
		case !exists && p.device.module == "":
			errs = append(errs, fmt.Errorf("%s: no device %s: create it, for example with %s", p.address, p.device.name, dummy(p.device.name)))
		case exists && !link.Loopback && !link.NoARP:
			errs = append(errs, fmt.Errorf("%s: %s uses ARP, where a virtual address conflicts with the director's; use %s",
				p.address, p.device.name, loopback))
		}
		if key := sysctl.Conf("ipv6", p.device.name, "disable_ipv6"); p.address.Is6() && o.Sysctls[key] == "1" {
			errs = append(errs, fmt.Errorf("%s: IPv6 is disabled on %s: %s", p.address, p.device.name, sysctl.Command(key, "0")))
		}
	}
	return errors.Join(errs...)
}

// misplaced returns what is wrong with a virtual address that this host has, or "".
func (o Observed) misplaced(v VIP, h host.Address, places []placed) string {
	if v.Mode == NAT {
		return fmt.Sprintf("%s has it, but with NAT only the director may: this host would answer local clients itself", h.Interface)
	}
	here := slices.ContainsFunc(places, func(p placed) bool { return p.address == v.Address && p.device.name == h.Interface })
	if !here && o.withoutARP(h.Interface) {
		return fmt.Sprintf("%s has it, set up by another mode or --interface", h.Interface)
	}
	if !here {
		return fmt.Sprintf("%s has it: this host may answer ARP or neighbour discovery there and divert its traffic from the director", h.Interface)
	}
	if !h.Prefix.IsSingleIP() {
		return fmt.Sprintf("%s has it as %s: every address of %s would be local to this host", h.Interface, h.Prefix, h.Prefix.Masked())
	}
	return ""
}

// withoutARP reports whether a device does not use ARP, so that up may add addresses to it.
func (o Observed) withoutARP(name string) bool {
	link, exists := o.link(name)
	return exists && (link.Loopback || link.NoARP)
}

// removal returns the command that removes an address. If up may have added it, down removes it with its routes and
// settings.
func (o Observed) removal(a host.Address) string {
	if a.Prefix.IsSingleIP() && o.withoutARP(a.Interface) {
		return fmt.Sprintf("lvs-ha realserver down --vip %s # or, if lvs-ha did not set it up: %s", a.Prefix.Addr(), deletion(a))
	}
	return deletion(a)
}

// deletion returns the command that deletes only the address.
func deletion(a host.Address) string {
	family := "-4"
	if a.Prefix.Addr().Is6() {
		family = "-6"
	}
	return fmt.Sprintf("ip %s address del %s dev %s", family, a.Prefix, a.Interface)
}
