package convert

import (
	"slices"
	"strings"
)

var vmacWords = []string{"use_vmac", "vmac_xmit_base", "accept", "no_accept"}

// vmacLine says what becomes of a line that vmac converts.
func vmacLine(l *line, v *instance) {
	switch {
	case l.Keyword == "no_accept" && v.node.Last("use_vmac") == nil:
		l.find(Missing, "lvs-ha drops packets to virtual addresses only with a vmac block.")
	case v.node.Last("use_vmac") == nil:
		l.find(Ignored, "keepalived ignores it without use_vmac.")
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
	if name := vmacName(use.Args); len(name) > 0 {
		m.set("interface", quote(name[len(name)-1]), notes{})
	}
	if last := v.node.Last("accept", "no_accept"); last != nil && last.Keyword == "no_accept" {
		m.set("accept", "false", notes{})
	}
	if v.node.Last("vmac_xmit_base") != nil {
		m.set("xmit_base", "true", notes{})
	}
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
