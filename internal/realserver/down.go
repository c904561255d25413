package realserver

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/lvs-ha/lvs-ha/internal/host"
	"github.com/lvs-ha/lvs-ha/internal/sysctl"
)

// undoPlan is the result of down.
type undoPlan struct {
	steps    []Step       // to be executed, in order
	undoes   []int        // for each of steps, the index of the recorded step that it undoes
	resolved map[int]bool // indices of recorded steps that no longer have to be undone
	next     State        // except for its steps
	notes    []string     // what is left in place, and why
}

// remaining returns the next state, without the resolved steps.
func (u undoPlan) remaining() State {
	next := u.next
	next.Steps = nil
	for i, s := range u.next.Steps {
		if !u.resolved[i] {
			next.Steps = append(next.Steps, s)
		}
	}
	return next
}

// down plans to undo the recorded steps that only the given addresses need, or all of them if none is given.
func down(state State, vips []netip.Addr, o Observed) undoPlan {
	u := undoPlan{next: state, resolved: map[int]bool{}}
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
	suppressed := slices.ContainsFunc(needed, suppressesARP)
	removing := map[host.Address]bool{}
	for i, s := range slices.Backward(state.Steps) {
		if slices.ContainsFunc(needed, s.same) || suppressed && suppressesARP(s) {
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
		if note := keepReason(back, o, removing); note != "" {
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

// keepReason returns why an undo step is skipped, or "".
func keepReason(back Step, o Observed, removing map[host.Address]bool) string {
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

// automatic reports whether the kernel may have added the address when the device came up: link-local addresses, and on
// sit0 one for each IPv4 address (sit_add_v4_addrs, net/ipv6/addrconf.c).
func automatic(a netip.Addr) bool {
	return a.IsLinkLocalUnicast() || ipv4Compatible.Contains(a)
}

// suppressesARP reports whether the step stops ARP for virtual addresses.
func suppressesARP(s Step) bool {
	return s.Action == SetSysctl && (strings.HasSuffix(s.Key, ".arp_ignore") || strings.HasSuffix(s.Key, ".arp_announce"))
}
