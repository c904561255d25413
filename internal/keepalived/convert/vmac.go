package convert

import (
	"fmt"
	"slices"
	"strings"
)

// xmitBase are the words with which keepalived sends adverts from the interface below a vmac.
var xmitBase = []string{"vmac_xmit_base", "unicast_peer", "unicast_src_ip", "unicast_fault_no_peer", "check_unicast_src", "old_unicast_checksum"}

var vmacWords = []string{"use_vmac", "vmac_xmit_base", "accept", "no_accept"}

// vmacLine says what becomes of a line that vmac converts.
func vmacLine(l *line, v *instance) {
	switch {
	case l.Keyword == "no_accept" && v.node.Last("use_vmac") == nil:
		l.find(Missing, "lvs-ha drops packets to virtual addresses only with a vmac block.")
	case v.node.Last("use_vmac") == nil:
		l.find(Ignored, "keepalived ignores it without use_vmac.")
	case l.Keyword == "vmac_xmit_base" && v.strict:
		l.find(Ignored, "keepalived clears it in strict mode.")
	case l.Keyword == "use_vmac" && v.strict && allMACs(l.Args[len(vmacName(l.Args)):]):
		if len(l.Args) > len(vmacName(l.Args)) {
			l.find(Ignored, "keepalived ignores the MAC address in strict mode and uses the RFC's.")
		} else {
			l.find(Same, "")
		}
	case l.Keyword == "use_vmac" && len(l.Args) > len(vmacName(l.Args)):
		l.find(Differs, "The MAC address is the RFC's, and the interface is in the link group of its parent.")
	default:
		l.find(Same, "")
	}
}

// vmac writes the vmac block.
func (c *converter) vmac(b *block, v *instance) {
	use := v.node.Last("use_vmac")
	if use == nil {
		return
	}
	m := b.add(&block{kind: "vmac", single: true, notes: c.reservedNotes(v.node.Children, vmacWords...)})
	if len(vmacName(use.Args)) > 0 || v.vmac != defaultVMAC(v) {
		m.set("interface", quote(v.vmac), notes{})
	}
	if v.refusesPackets() {
		m.set("accept", "false", notes{})
	}
	if v.node.Last(xmitBase...) != nil && !v.strict {
		m.set("xmit_base", "true", notes{})
	}
}

// refusesPackets reports whether keepalived drops packets to the virtual addresses. An owner accepts them with both programs.
func (v *instance) refusesPackets() bool {
	last := v.node.Last("accept", "no_accept")
	switch {
	case last != nil && last.Keyword == "no_accept":
		return true
	case v.strict && v.priority != 255:
		return last == nil || v.version == 2
	}
	return false
}

func allMACs(words []string) bool {
	return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(w, ":") })
}

// isOwn reports whether an interface is the one that the instance's addresses are on without "dev", or the one below it: keepalived
// puts an address on the instance's interface on that of use_vmac.
func (v *instance) isOwn(name string) bool {
	if name == v.iface {
		return true
	}
	return name == v.vmac && name != ""
}

// nameVMACs sets the names of the instances' vmac interfaces. Without a name, keepalived chooses one that no other instance has.
func (c *converter) nameVMACs() {
	used := map[string]bool{}
	for _, v := range c.order {
		if use := v.node.Last("use_vmac"); use != nil {
			if given := vmacName(use.Args); len(given) > 0 {
				v.vmac = given[len(given)-1]
				used[v.vmac] = true
			}
		}
	}
	for _, v := range c.order {
		if v.node.Last("use_vmac") == nil || v.vmac != "" {
			continue
		}
		v.vmac = defaultVMAC(v)
		for n := 1; used[v.vmac]; n++ {
			v.vmac = fmt.Sprintf("vrrp%d.%d", n, v.vrid)
		}
		used[v.vmac] = true
	}
}

// defaultVMAC is the name that lvs-ha's vmac blocks have by default.
func defaultVMAC(v *instance) string {
	if v.ipv6 {
		return fmt.Sprintf("vrrp6.%d", v.vrid)
	}
	return fmt.Sprintf("vrrp.%d", v.vrid)
}

// vmacName returns the arguments of use_vmac that name the interface: NAME, or name NAME.
func vmacName(args []string) []string {
	switch {
	case len(args) >= 2 && args[0] == "name":
		return args[:2]
	case len(args) == 0, strings.Contains(args[0], ":"), slices.Contains([]string{"netlink_notify_msg", "group"}, args[0]):
		return nil
	}
	return args[:1]
}
