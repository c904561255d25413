package convert

import (
	"net/netip"
	"slices"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/keepalived"
)

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
