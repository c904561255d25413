package speaker

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"strings"

	"golang.org/x/sys/unix"
)

// refusals are the addresses of a router that the kernel refuses, each with its error and the remedy.
type refusals map[placed]string

const noInterface = "the interface does not exist"

// refusalText returns the reason why the kernel refused an address, and the remedy.
func refusalText(at placed, err error) string {
	ipv6 := at.Prefix.Addr().Is6()
	switch {
	case errors.Is(err, unix.ENODEV):
		return noInterface
	case errors.Is(err, unix.EACCES) && ipv6:
		return fmt.Sprintf("%s: IPv6 is disabled on the interface: sysctl net.ipv6.conf.%s.disable_ipv6=0", untilErrno(err), sysctlName(at.Interface))
	case errors.Is(err, unix.EINVAL) && ipv6:
		return fmt.Sprintf("%s: IPv6 requires an MTU of 1280 or more: ip link set dev %s mtu 1500", untilErrno(err), at.Interface)
	case errors.Is(err, unix.EINVAL):
		return fmt.Sprintf("%v: the interface's addresses in one network need the same scope", err)
	}
	return err.Error() + capabilityHint(err, "CAP_NET_ADMIN")
}

// untilErrno returns an error's text without the kernel's explanation, which follows the text of the errno.
func untilErrno(err error) string {
	text := err.Error()
	if errno, ok := errors.AsType[unix.Errno](err); ok {
		if before, _, found := strings.Cut(text, errno.Error()); found {
			return before + errno.Error()
		}
	}
	return text
}

// sysctlName returns an interface's name in the syntax of sysctl(8), where the dot of a VLAN would be a separator.
func sysctlName(name string) string { return strings.ReplaceAll(name, ".", "/") }

func (p placed) String() string { return fmt.Sprintf("%s on %s", p.Prefix, p.Interface) }

// reportRefusals reports a router's refusals if they differ from the last report. It returns true if there are new ones.
func (k *keeper) reportRefusals(holder *holder) (more bool) {
	delete(k.doubtful, holder)
	now := refusals{}
	for at, h := range k.held {
		if h.holder == holder && h.complaint != "" {
			now[at] = h.complaint
		}
	}
	if maps.Equal(now, holder.refused) {
		return false
	}
	for at := range now {
		if _, known := holder.refused[at]; !known {
			more = true
		}
	}
	k.report(holder, now)
	return more
}

func (k *keeper) report(h *holder, now refusals) {
	h.refused = now
	k.refused(h, now)
}

// try determines whether the kernel would accept addresses that it has refused, without serving them: each is added to its
// interface and removed again immediately. Addresses that the router holds are retried by restore.
func (k *keeper) try(t task) {
	left := refusals{}
	for _, a := range t.try {
		at := t.holder.key.place(a)
		if h := k.held[at]; h != nil {
			if h.complaint != "" {
				left[at] = h.complaint
			}
			continue
		}
		index := k.lookup(at.Interface).Index
		if index == 0 {
			left[at] = noInterface
			continue
		}
		if err := k.kernel.Try(index, a); err != nil {
			left[at] = refusalText(at, err)
		}
	}
	k.report(t.holder, left)
}

// renew removes an address that is present but not usable and adds it again: another program added it, and duplicate
// address detection found the former master.
func (k *keeper) renew(at placed, h *heldAddress, present netip.Prefix) {
	k.log.Warn("virtual address was present but not usable, for example after failed duplicate address detection; added again",
		"instance", h.name, "interface", at.Interface, "address", at.Prefix)
	address := h.address
	address.Prefix = present
	k.remove(h.index, at, address, h.name)
	if k.install(h) != nil {
		k.requestCheck()
	}
}
