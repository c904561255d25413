package realserver

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/lvs-ha/lvs-ha/internal/host"
	"github.com/lvs-ha/lvs-ha/internal/sysctl"
)

// undone is what Down makes of a state.
type undone struct {
	steps    []Step       // to be done, in order
	undoes   []int        // the recorded step that each of them takes back
	resolved map[int]bool // recorded steps that need not be taken back any more
	next     State        // but for its steps
	notes    []string     // what is not as somebody may expect
}

// left is the state after the resolved steps are gone from it.
func (u undone) left() State {
	next := u.next
	next.Steps = nil
	for i, s := range u.next.Steps {
		if !u.resolved[i] {
			next.Steps = append(next.Steps, s)
		}
	}
	return next
}

// down takes back the recorded steps that only the given addresses needed, or all of them if none is given.
func down(state State, vips []netip.Addr, o Observed) undone {
	u := undone{next: state, resolved: map[int]bool{}}
	if len(vips) == 0 {
		u.next.Wanted = Wanted{}
	} else {
		u.next.Wanted = state.Wanted.without(vips)
	}
	for _, a := range vips {
		if !slices.ContainsFunc(state.Wanted.VIPs, func(v VIP) bool { return v.Address == a }) {
			u.notes = append(u.notes, fmt.Sprintf("%s was not set up by lvs-ha: left as is", a))
		}
	}
	needed := Script(u.next.Wanted, Observed{})
	silent := slices.ContainsFunc(needed, isSilence)
	removing := map[host.Address]bool{}
	for i, s := range slices.Backward(state.Steps) {
		if slices.ContainsFunc(needed, s.same) || silent && isSilence(s) {
			continue
		}
		u.resolved[i] = true
		back, possible := s.Undo()
		if !possible {
			u.notes = append(u.notes, fmt.Sprintf("module %s stays loaded", s.Module))
			continue
		}
		if back.done(o) {
			continue
		}
		if note := kept(back, o, removing); note != "" {
			u.notes = append(u.notes, note)
			continue
		}
		if back.Action == RemoveAddress {
			removing[host.Address{Interface: back.Interface, Prefix: HostPrefix(back.Address)}] = true
		}
		u.steps = append(u.steps, back)
		u.undoes = append(u.undoes, i)
	}
	for _, p := range state.Wanted.placements() {
		a := host.Address{Interface: p.device.name, Prefix: HostPrefix(p.address)}
		if o.has(a) && !removing[a] && !slices.Contains(u.next.Wanted.placements(), p) {
			u.notes = append(u.notes, fmt.Sprintf("%s stays on %s, where it was before; to remove it: %s", p.address, a.Interface, deletion(a)))
		}
	}
	return u
}

// kept says why a step back is not taken, or "".
func kept(back Step, o Observed, removing map[host.Address]bool) string {
	switch back.Action {
	case SetSysctl:
		now, exists := o.Sysctls[back.Key]
		if !exists {
			return fmt.Sprintf("%s no longer exists", back.Key)
		}
		if back.Before != "" && !sysctl.Same(now, back.Before) {
			return fmt.Sprintf("%s is now %s, which lvs-ha did not set: left as is (it was %s before)", back.Key, now, back.Value)
		}
	case SetDown:
		for _, a := range o.Addresses {
			if a.Interface == back.Interface && !removing[a] && !automatic(a.Prefix.Addr()) {
				return fmt.Sprintf("%s stays up: it also has %s", a.Interface, a.Prefix)
			}
		}
	}
	return ""
}

var ipv4Compatible = netip.MustParsePrefix("::/96")

// automatic reports whether an address may have come by itself when the device came up: link-local ones, and on sit0
// one for each IPv4 address (sit_add_v4_addrs, net/ipv6/addrconf.c).
func automatic(a netip.Addr) bool {
	return a.IsLinkLocalUnicast() || ipv4Compatible.Contains(a)
}

// isSilence reports whether the step keeps a device from speaking of the virtual addresses by ARP.
func isSilence(s Step) bool {
	return s.Action == SetSysctl && (strings.HasSuffix(s.Key, ".arp_ignore") || strings.HasSuffix(s.Key, ".arp_announce"))
}
