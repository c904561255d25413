package convert

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/keepalived"
)

// maxInterface is the longest name of a network interface, in bytes. keepalived ignores longer ones.
const maxInterface = 15

func (c *converter) instance(l *line) {
	if !l.named() {
		return
	}
	v := c.instances[l.arg(0)]
	switch {
	case v.node != l.Node:
		l.doubt(Ignored, "keepalived skips it: the name is used twice.")
		return
	case v.removed != "":
		l.find(Missing, "%s", v.removed)
		return
	}
	l.find(Same, "")
	b := c.root.add(&block{kind: "vrrp", label: label(v.name), notes: l.notes()})
	if l.Last("use_vmac") != nil {
		c.reserve(l.Children, vmacWords...)
	}
	if len(c.announcement(v).items) > 0 {
		c.reserve(l.Children, announceWords...)
	}
	if c.globals.sync == nil {
		c.reserve(l.Children, "lvs_sync_daemon_interface")
	}
	c.each("vrrp_instance", l.Children, b, func(l2 *line) { c.instanceLine(l2, b, v) })
	c.groupCommands(b, v)
	c.implied(b, v)
	b.settle()
}

// named reports whether an instance or a group has one word as its name; keepalived skips others.
func (l *line) named() bool {
	switch {
	case l.arg(0) == "":
		l.doubt(Ignored, "keepalived skips it: it has no name.")
	case len(l.Args) > 1:
		l.doubt(Ignored, "keepalived skips it: the name must be one word, and %q follows.", strings.Join(l.Args[1:], " "))
	default:
		return true
	}
	return false
}

// implied adds what keepalived does without a line.
func (c *converter) implied(b *block, v *instance) {
	first := slices.IndexFunc(b.items, func(i item) bool { return i.name == "virtual_router_id" }) + 1
	var add []item
	attribute := func(name, value string) {
		if b.get(name) == "" {
			add = append(add, item{name: name, value: value})
		}
	}
	if v.version == 2 {
		attribute("version", "2")
	}
	if v.priority != 100 {
		attribute("priority", fmt.Sprint(v.priority))
	}
	if c.globals.checksumV2 && v.version == 3 && !v.ipv6 && v.node.Last("v3_checksum_as_v2") == nil {
		attribute("checksum", quote("without-pseudo"))
	}
	group := c.globals.groups[0]
	if v.ipv6 {
		group = c.globals.groups[1]
	}
	if group.IsValid() && b.get("unicast_peers") == "" {
		attribute("multicast_address", quote(group.String()))
	}
	if c.globals.startup > 0 {
		attribute("startup_delay", duration(c.globals.startup))
	}
	b.items = slices.Insert(b.items, first, add...)
	if v.ipv6 && len(v.have) == 0 && b.get("source_address")+b.get("unicast_peers") == "" {
		c.find(v.node.Position, "", "vrrp_instance", Missing, "An instance without addresses uses IPv4, unless it has an IPv6 source_address.")
	}
	for _, name := range v.carriers {
		tracked := func(i item) bool {
			return i.block != nil && i.block.kind == "track_interface" && i.block.label == label(name)
		}
		if !v.isOwn(name) && !slices.ContainsFunc(b.items, tracked) {
			b.add(&block{kind: "track_interface", label: label(name)})
		}
	}
	c.groupInterfaces(b, v)
	c.announce(b, v)
	c.vmac(b, v)
	if d := c.globals.sync; d != nil && d.instance == v.name {
		s := b.add(&block{kind: "connection_sync", notes: c.reservedNotes([]*keepalived.Node{d.line}, d.line.Keyword)})
		s.set("interface", quote(d.iface), notes{})
		for _, o := range d.options {
			s.set(o[0], o[1], notes{})
		}
	}
}

func (c *converter) instanceLine(l *line, b *block, v *instance) {
	nodes := v.node.Children
	switch l.Keyword {
	case "virtual_ipaddress", "virtual_ipaddress_excluded":
		c.addresses(l, b, v)
	case "virtual_routes":
		c.routing(l, b, "route")
	case "virtual_rules":
		c.routing(l, b, "rule")
	case "track_interface", "track_script", "track_file", "track_process":
		c.uses(l, b, v)
	case "unicast_peer":
		c.unicastPeers(l, b, v)
	case "notify_master", "notify_backup", "notify_fault", "notify_stop", "notify":
		c.notify(l, b, nodes, 0)
	case "authentication":
		c.authentication(l, b, v)
	case "auth_hmac":
		c.authHMAC(l, b, v)
	case "use_vmac", "vmac_xmit_base", "no_accept":
		vmacLine(l, v)
	default:
		if !l.superseded(nodes, l.Keyword) {
			c.instanceSetting(l, b, v)
		}
	}
}

// instanceSetting converts the lines of which the last one wins.
func (c *converter) instanceSetting(l *line, b *block, v *instance) {
	switch l.Keyword {
	case "state":
		c.state(l, v)
	case "interface":
		if l.arg(0) != v.iface {
			l.find(Ignored, "%q is too long for the name of an interface; keepalived uses %s.", l.arg(0), v.iface)
		} else {
			l.find(Same, "")
		}
		l.set(b, "interface", quote(v.iface))
	case "virtual_router_id":
		l.find(Same, "")
		l.set(b, "virtual_router_id", fmt.Sprint(v.vrid))
	case "version":
		if v.strict && v.ipv6 && l.arg(0) == "2" {
			l.find(Ignored, "keepalived uses version 3 with IPv6 in strict mode.")
		} else {
			l.find(Same, "")
		}
		l.set(b, "version", fmt.Sprint(v.version))
	case "priority":
		if _, ok := number(l.arg(0), 1, 255); ok && v.priority == 255 {
			l.find(Equivalent, "After a fault, keepalived is a backup for a moment; lvs-ha is master at once.")
		} else if ok {
			l.find(Same, "")
		} else {
			what := fmt.Sprintf("%q is not a priority from 1 to 255", l.arg(0))
			if l.arg(0) == "" {
				what = strings.TrimSuffix(noValue, ".")
			}
			l.doubt(Ignored, "%s; keepalived uses 100.", what)
		}
		l.set(b, "priority", fmt.Sprint(v.priority))
	case "advert_int":
		if d, ok := seconds(l.arg(0)); ok && d == v.interval {
			l.find(Same, "")
		} else {
			l.find(Ignored, "keepalived makes %v of %q.", v.interval, l.arg(0))
			if !ok {
				c.suspect()
			}
		}
		l.set(b, "advertise_interval", duration(v.interval))
	case "mcast_src_ip", "unicast_src_ip":
		c.sourceAddress(l, b, v)
	case "nopreempt":
		switch {
		case v.priority == 255:
			l.find(Ignored, "keepalived clears it, because of priority 255.")
		case v.master:
			l.find(Ignored, "keepalived clears it, because of state MASTER. Write preempt = false if it is wanted.")
		case l.superseded(v.node.Children, "preempt"):
		default:
			l.find(Same, "")
			l.set(b, "preempt", "false")
		}
	case "preempt_delay":
		c.preemptDelay(l, b, v)
	case "v3_checksum_as_v2":
		on, _ := truth(l.Args)
		switch {
		case v.version == 2 || v.ipv6:
			l.find(Ignored, "It only affects version 3 with IPv4.")
		case on:
			l.find(Same, "")
			l.set(b, "checksum", quote("without-pseudo"))
		}
	case "lvs_sync_daemon_interface":
		if d := c.globals.sync; d != nil {
			l.find(Ignored, "keepalived uses the first one, in line %d.", d.line.Line)
			return
		}
		l.find(Equivalent, "It is a connection_sync block.")
		c.globals.sync = &syncDaemon{line: l.Node, iface: l.arg(0), instance: v.name}
	case "mcast_dst_ip":
		if a, ok := address(l.arg(0)); !ok || !a.IsMulticast() || a.Is6() != v.ipv6 {
			l.doubt(Ignored, "%q is not a multicast address of the instance's family.", l.arg(0))
		} else if v.unicast() {
			l.find(Ignored, "The instance uses unicast.")
		} else {
			if !l.cut(l.arg(0), a) {
				l.find(Same, "")
			}
			l.set(b, "multicast_address", quote(a.String()))
		}
	case "down_timer_adverts":
		downTimer(l, v.strict)
	case "higher_prio_send_advert":
		if v.strict {
			l.find(Ignored, "keepalived clears it in strict mode.")
		}
	case "accept":
		if v.strict && v.version == 2 && v.priority != 255 {
			l.find(Ignored, "keepalived clears it: strict mode with version 2 accepts no packets to virtual addresses.")
		}
	case "smtp_alert":
		c.alert(l)
	case "unicast_ttl":
		if l.arg(0) == "255" {
			l.find(Same, "")
		}
	case "garp_master_repeat", "garp_master_delay", "garp_master_refresh":
		_, ok := l.lenient(l.arg(0), 0, 1<<31-1)
		switch {
		case len(l.Args) == 0:
			l.doubt(Ignored, noValue)
		case !ok:
			l.doubt(Ignored, "%q is not a number from 0.", l.arg(0))
		case len(c.announcement(v).items) == 0:
			l.find(Equivalent, "It is the default.")
		default:
			l.find(Equivalent, "It is in the announce block.")
		}
	case "garp_master_refresh_repeat":
		if len(c.announcement(v).items) > 0 { // what is said about it stands there
			mark := len(c.carried)
			l.find(Differs, "%s", instanceWords[l.Keyword].text)
			v.aboutAnnounce = append(v.aboutAnnounce, c.carried[mark:]...)
			c.carried = slices.Clip(c.carried[:mark])
		}
	case "strict_mode":
		l.strict()
	}
}

// strict records the fate of a line that turns strict mode on or off.
func (l *line) strict() {
	switch on, ok := truth(l.Args); {
	case !ok:
		l.doubt(Ignored, "keepalived does not know %q.", l.arg(0))
	case !on:
		l.find(Same, "")
	default:
		l.find(Differs, "%s", noStrict)
	}
}

func (c *converter) state(l *line, v *instance) {
	switch {
	case l.arg(0) == "MASTER" && v.node.Last("priority") == nil:
		l.find(Equivalent, "Without a priority, it means priority 255.")
	case v.strict && l.arg(0) == "MASTER" && !v.master:
		l.find(Equivalent, "In strict mode, keepalived begins as a backup, because the priority is not 255. The priority decides who is master.")
	case v.priority == 255 && !v.master:
		l.find(Differs, "With priority 255, keepalived begins as a backup because of this line; lvs-ha is master at once, as RFC 9568 requires it.")
	case l.arg(0) == "MASTER" || l.arg(0) == "BACKUP":
		l.find(Equivalent, "The priority decides who is master; this line only says who begins.")
	default:
		l.find(Ignored, "keepalived takes %q as BACKUP.", l.arg(0))
	}
}

func (c *converter) preemptDelay(l *line, b *block, v *instance) {
	d, ok := seconds(l.arg(0))
	switch {
	case len(l.Args) == 0:
		l.doubt(Ignored, noValue)
	case !ok:
		l.doubt(Ignored, "%q is not a number of seconds.", l.arg(0))
	case v.strict:
		l.find(Ignored, "keepalived clears it in strict mode.")
	case v.master:
		l.find(Ignored, "keepalived clears it, because of state MASTER. Write preempt_delay = %s if it is wanted.", duration(d))
	case v.node.Last("preempt", "nopreempt") != nil && v.node.Last("preempt", "nopreempt").Keyword == "nopreempt":
		l.find(Ignored, "keepalived clears it, because of nopreempt.")
	default:
		if d > time.Hour {
			l.find(Differs, "lvs-ha's highest value is 1h.")
			d = time.Hour
		} else {
			l.find(Same, "")
		}
		l.set(b, "preempt_delay", duration(d))
	}
}

func (c *converter) alert(l *line) {
	if on, ok := truth(l.Args); !ok || !on {
		l.find(Differs, "lvs-ha sends mail about all instances, if it sends any.")
		return
	}
	if len(c.globals.recipients) == 0 || c.globals.server == "" {
		l.find(Ignored, "keepalived sends no mail without notification_email and smtp_server.")
		return
	}
	l.find(Equivalent, "notify_email sends mail about all instances.")
}
