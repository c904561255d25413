package convert

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/keepalived"
)

// maxInterface is the longest name of a network interface, in bytes. keepalived ignores longer ones.
const maxInterface = 15

// instance is what keepalived makes of a vrrp_instance.
type instance struct {
	node     *keepalived.Node
	name     string
	removed  string // why keepalived does not run it; "" if it does
	ipv6     bool
	version  int
	priority int
	master   bool // begins as master
	strict   bool
	vmac     string // the interface of use_vmac; "": none
	iface    string
	vrid     int
	interval time.Duration
	group    *keepalived.Node        // its sync group
	weighted bool                    // the group allows weights
	have     map[netip.Addr][]string // the virtual addresses with their interfaces; "": the instance's
	other    bool                    // it has virtual addresses that are not link-local
	carriers []string                // other interfaces with addresses: keepalived tracks them

	aboutAnnounce []string         // comments for the announce block
	alone         *keepalived.Node // the sync group that has no other instance
}

// readInstances decides what depends on several lines.
func (c *converter) readInstances() {
	c.instances = map[string]*instance{}
	for _, n := range c.source.Nodes {
		if n.Keyword != "vrrp_instance" || len(n.Args) != 1 || n.Args[0] == "" || c.instances[n.Args[0]] != nil {
			continue
		}
		v := c.readInstance(n)
		c.instances[v.name] = v
		c.order = append(c.order, v)
	}
	c.nameVMACs()
	var groups []string
	for _, n := range c.source.Nodes {
		if n.Keyword != "vrrp_sync_group" || len(n.Args) != 1 || slices.Contains(groups, n.Args[0]) {
			continue
		}
		groups = append(groups, n.Args[0])
		for _, name := range members(n) {
			if v := c.instances[name]; v != nil && v.group == nil {
				v.group, v.weighted = n, n.Last("sync_group_tracking_weight", "global_tracking") != nil
			}
		}
		c.readAlone(n)
	}
}

// readAlone decides whether a group has one instance only, whose block gets the group's commands then.
func (c *converter) readAlone(group *keepalived.Node) {
	var one *instance
	for _, name := range members(group) {
		v := c.instances[name]
		if v == nil || v.removed != "" || v.group != group {
			continue
		}
		if one != nil && one != v {
			return
		}
		one = v
	}
	if one == nil {
		return
	}
	one.alone = group
	for _, n := range group.Children {
		if one.takes(n) {
			c.reserve([]*keepalived.Node{n}, n.Keyword)
		}
	}
}

// takes reports whether the block of an instance gets a line of its group: a command that it does not have itself. The command for all
// states has the group's name as an argument.
func (v *instance) takes(n *keepalived.Node) bool {
	return v.alone != nil && slices.Contains([]string{"notify_master", "notify_backup", "notify_fault", "notify_stop"}, n.Keyword) && v.node.Last(n.Keyword) == nil
}

// groupCommands writes the commands of a group that has no other instance.
func (c *converter) groupCommands(b *block, v *instance) {
	if v.alone == nil {
		return
	}
	for _, n := range v.alone.Children {
		if !v.takes(n) {
			continue
		}
		delete(c.comments.reserved, commentPlace{n.Position, n.Keyword})
		c.notify(&line{Node: n, parent: "vrrp_sync_group", c: c, mark: len(c.carried)}, b, v.alone.Children, 0)
		c.leftover(n)
	}
	c.flush(b)
}

func members(group *keepalived.Node) (names []string) {
	if list := group.Last("group"); list != nil {
		for _, v := range list.Values {
			names = append(names, v.Words...)
		}
	}
	return names
}

func (c *converter) readInstance(n *keepalived.Node) *instance {
	v := &instance{node: n, name: n.Args[0], priority: -1, interval: time.Second, have: map[netip.Addr][]string{}, strict: c.globals.strict}
	family := 0
	for _, child := range n.Children {
		arg := ""
		if len(child.Args) > 0 {
			arg = child.Args[0]
		}
		switch child.Keyword {
		case "state":
			v.master = v.master || arg == "MASTER"
		case "priority":
			v.priority = 100
			if p, ok := number(arg, 1, 255); ok {
				v.priority = p
			}
		case "interface":
			if len(arg) <= maxInterface {
				v.iface = arg
			}
		case "virtual_router_id":
			if id, ok := number(arg, 1, 255); ok {
				v.vrid = id
			}
		case "version":
			if version, ok := loose(arg, 2, 3); ok && v.version == 0 {
				v.version = version
			}
		case "native_ipv6":
			if family == 0 {
				family = 6
			}
			if family == 6 {
				v.version = 3
			}
		case "advert_int":
			if d, ok := seconds(arg); ok && d >= 10*time.Millisecond && d <= 255*time.Second {
				v.interval = d
			}
		case "virtual_ipaddress", "virtual_ipaddress_excluded", "unicast_peer":
			for _, value := range child.Values {
				if i := slices.Index(value.Words, "dev"); i > 0 && i+1 < len(value.Words) && !slices.Contains(value.Words, "no_track") {
					v.carriers = append(v.carriers, value.Words[i+1])
				}
				switch {
				case family != 0 || child.Keyword == "virtual_ipaddress_excluded":
				case child.Keyword == "unicast_peer":
					family = familyOfHost(value.Words[0])
				default:
					family = familyOf(value.Words[0])
				}
			}
		case "mcast_src_ip", "unicast_src_ip", "mcast_dst_ip":
			if family == 0 {
				family = familyOfHost(arg)
			}
		case "strict_mode":
			if on, ok := truth(child.Args); ok {
				v.strict = on
			}
		}
	}
	v.ipv6 = family == 6
	switch {
	case v.ipv6 && (v.version == 0 || v.strict):
		v.version = 3
	case v.version == 0:
		v.version = c.globals.version
	}
	if v.priority < 0 {
		v.priority = 100
		if v.master {
			v.priority = 255
		}
	}
	if v.strict {
		v.master = v.priority == 255
	}
	v.interval = roundInterval(v.interval, v.version)
	switch {
	case v.vrid == 0:
		v.removed = "keepalived does not run it: it has no valid virtual_router_id."
	case v.iface == "":
		v.removed = "keepalived does not run it: it has no valid interface."
		if n.Last("unicast_peer") != nil {
			v.removed = "lvs-ha requires an interface."
		}
	case v.version == 3 && n.Last("no_virtual_ipaddress") == nil && !v.advertises():
		v.removed = "keepalived does not run it: version 3 needs a valid virtual address."
	case v.ipv6 && v.version == 2:
		v.removed = "lvs-ha has no VRRP version 2 with IPv6, which no RFC describes."
	case v.strict && v.unicast():
		v.removed = "keepalived does not run it: strict mode has no unicast, unless the interface has no multicast. Remove strict mode to import it."
	case v.strict && !v.advertises():
		v.removed = "keepalived does not run it: strict mode requires a virtual address."
	case !v.unicast() && n.Last("unicast_fault_no_peer") != nil:
		v.removed = "keepalived does not run it: it has unicast_fault_no_peer and no valid unicast_peer."
	}
	return v
}

// advertises reports whether the instance has a valid virtual address.
func (v *instance) advertises() bool {
	for _, l := range v.node.All("virtual_ipaddress") {
		for _, value := range l.Values {
			if p, ok := prefix(value.Words[0]); ok && p.Addr().Is6() == v.ipv6 {
				return true
			}
		}
	}
	return false
}

// unicast reports whether the instance has valid peers.
func (v *instance) unicast() bool {
	for _, l := range v.node.All("unicast_peer") {
		for _, value := range l.Values {
			if a, ok := address(value.Words[0]); ok && a.Is6() == v.ipv6 {
				return true
			}
		}
	}
	return false
}

func familyOf(text string) int {
	p, ok := prefix(text)
	switch {
	case !ok:
		return 0
	case p.Addr().Is4():
		return 4
	}
	return 6
}

// familyOfHost returns the family of an address without a length.
func familyOfHost(text string) int {
	a, ok := address(text)
	if !ok {
		return 0
	}
	return familyOf(a.String())
}

// roundInterval is keepalived's rounding: to whole seconds with version 2, to 10 ms with version 3.
func roundInterval(d time.Duration, version int) time.Duration {
	unit, most := time.Second, 255*time.Second
	if version == 3 {
		unit, most = 10*time.Millisecond, 40950*time.Millisecond
	}
	return min(max(d.Round(unit), unit), most)
}

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
			l.doubt(Ignored, "%q is not a priority from 1 to 255; keepalived uses 100.", l.arg(0))
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
