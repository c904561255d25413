package convert

import (
	"slices"
	"strings"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/keepalived"
)

var notifyNames = map[string]string{"notify_master": "master", "notify_backup": "backup", "notify_fault": "fault", "notify_stop": "stop", "notify": "all",
	"notify_up": "up", "notify_down": "down", "quorum_up": "up", "quorum_down": "down"}

// notify writes a notify_… line into the notify block of an instance, a group, a service or a server, which has one user for all commands.
// addresses is the number of those of the service; 0: it is about an instance or a group.
func (c *converter) notify(l *line, b *block, nodes []*keepalived.Node, addresses int) {
	if l.repeated(nodes) {
		return
	}
	s, ok := keepalived.ParseScript(l.Text)
	if !ok || len(s.Command) == 0 {
		l.doubt(Ignored, "keepalived cannot parse it.")
		return
	}
	user, group := c.options.ScriptUser, ""
	switch {
	case len(s.Rest) > 0:
		user = s.Rest[0]
		if len(s.Rest) > 1 {
			group = strings.TrimPrefix(s.Rest[1], ":")
		}
	case c.globals.userSet:
		user, group = c.globals.user, c.globals.group
	}
	if user == "root" && group == "root" {
		group = "" // it is root's
	}
	n := b.find("notify")
	if n == nil {
		n = b.add(&block{kind: "notify", notes: l.headNotes()})
		n.set("user", quote(user), notes{})
		if group != "" {
			n.set("group", quote(group), notes{})
		}
	} else if n.get("user") != quote(user) || group != "" && n.get("group") != quote(group) {
		l.find(Differs, "The commands of a notify block have one user, that of the first one; this one's is %s.", user)
	}
	switch {
	case addresses > 1:
		l.find(Differs, "keepalived runs it once, lvs-ha for each address of the group.")
	case addresses == 1:
		l.find(Equivalent, "It is also run for the first state after a start.")
	}
	c.command(l, n, notifyNames[l.Keyword], s)
	slices.SortStableFunc(n.items, func(a, b item) int { return last(a) - last(b) })
}

// last is 1 for the attributes that stand at the end of a notify block.
func last(i item) int {
	if i.name == "user" || i.name == "group" || i.name == "at_stop" {
		return 1
	}
	return 0
}

func (b *block) find(kind string) *block {
	for _, i := range b.items {
		if i.block != nil && i.block.kind == kind {
			return i.block
		}
	}
	return nil
}

func (c *converter) syncGroup(l *line) {
	if !l.named() {
		return
	}
	if c.groupNames[l.arg(0)] {
		l.doubt(Ignored, "keepalived skips it: the name is used twice.")
		return
	}
	c.groupNames[l.arg(0)] = true
	var names []string
	for _, name := range members(l.Node) {
		v := c.instances[name]
		switch {
		case v == nil:
			l.doubt(Ignored, "There is no vrrp_instance %s.", name)
		case v.removed != "":
			l.find(Ignored, "The vrrp_instance %s was left out.", name)
		case v.group != l.Node:
			l.doubt(Ignored, "The instance %s is in another group.", name)
		case slices.Contains(names, label(name)):
			l.doubt(Ignored, "The instance %s is listed twice.", name)
		default:
			names = append(names, label(name))
		}
	}
	if len(names) < 2 {
		l.find(Equivalent, "A group of one instance has no effect.")
		c.each("vrrp_sync_group", l.Children, c.root, func(l2 *line) {
			if l2.Keyword == "group" || len(names) == 0 {
				l2.find(Ignored, "")
			} else if v := c.alone(l.Node); v != nil && v.takes(l2.Node) {
				l2.told = true // by the instance
			} else if strings.HasPrefix(l2.Keyword, "track_") || strings.HasPrefix(l2.Keyword, "notify") {
				l2.find(Missing, "lvs-ha has no group of one instance: write it in the vrrp block %s.", names[0])
			}
		})
		return
	}
	if !l.told {
		l.find(Same, "")
	}
	b := c.root.add(&block{kind: "sync_group", label: label(l.arg(0)), notes: l.notes()})
	c.each("vrrp_sync_group", l.Children, b, func(l2 *line) {
		switch l2.Keyword {
		case "group":
			l2.members(b, l.Children, names)
		case "track_script", "track_file", "track_process":
			c.uses(l2, b, nil)
		case "notify_master", "notify_backup", "notify_fault", "notify_stop", "notify":
			c.notify(l2, b, l.Children, 0)
		case "smtp_alert":
			c.alert(l2)
		}
	})
}

// alone returns the only instance of a group; nil if it has none or several.
func (c *converter) alone(group *keepalived.Node) *instance {
	i := slices.IndexFunc(c.order, func(v *instance) bool { return v.alone == group })
	if i < 0 {
		return nil
	}
	return c.order[i]
}

// members writes the instances of a group.
func (l *line) members(b *block, nodes []*keepalived.Node, names []string) {
	if l.superseded(nodes, "group") {
		return
	}
	l.find(Same, "")
	var list listBuilder
	for _, value := range l.Values {
		at := l.value(value)
		for _, w := range value.Words {
			if i := slices.Index(names, label(w)); i >= 0 {
				names = slices.Delete(names, i, i+1)
				list.add(label(w), at)
			}
		}
	}
	list.addEnd(l)
	b.setList("instances", list, l.notes())
}

// groupInterfaces adds the interfaces that an instance's group tracks. The group's weight replaces that of the instance, if it has one.
func (c *converter) groupInterfaces(b *block, v *instance) {
	if v.group == nil {
		return
	}
	own := c.again()
	member := *v
	member.group = nil // weights of the group's own tracks count
	for _, n := range v.group.All("track_interface") {
		for _, value := range n.Values {
			name := value.Words[0]
			tracked := func(i item) bool {
				return i.block != nil && i.block.kind == "track_interface" && i.block.label == label(name)
			}
			i := slices.IndexFunc(b.items, tracked)
			if name == v.iface || i >= 0 && b.items[i].block.get("weight") == "" {
				continue
			}
			at := &line{Node: &keepalived.Node{Position: value.Position, Keyword: n.Keyword, Args: value.Words}, c: own}
			use := &block{kind: "track_interface", label: label(name), single: true}
			switch {
			case !at.useOptions(use, value.Words[1:], &member):
			case i >= 0:
				b.items[i].block.items = use.items
			default:
				b.add(use)
			}
		}
	}
}

func (c *converter) authentication(l *line, b *block, v *instance) {
	l.find(Same, "")
	l.pass()
	kind, pass := l.Last("auth_type"), l.Last("auth_pass")
	c.each("authentication", l.Children, b, func(l2 *line) {
		switch {
		case l2.superseded(l.Children, l2.Keyword):
		case signs(v.node):
			l2.find(Ignored, "keepalived ignores it because of auth_hmac.")
		case v.strict:
			l2.find(Ignored, "keepalived ignores it: strict mode has no passwords.")
		case v.version == 3:
			l2.find(Ignored, "keepalived ignores it: version 3 has no passwords.")
		case kind == nil || kind.Keyword != "" && len(kind.Args) == 0:
			l2.find(Ignored, "keepalived ignores it without an auth_type.")
		case kind.Args[0] == "AH":
			l2.find(Missing, "IPsec AH was removed from VRRP in 2004. Use version 3 with auth_hmac on all routers.")
		case kind.Args[0] != "PASS":
			l2.doubt(Ignored, "keepalived does not know %q.", kind.Args[0])
		case pass == nil || len(pass.Args) == 0:
			l2.find(Ignored, "keepalived ignores it without an auth_pass.")
		case l2.Keyword == "auth_type":
			l2.find(Same, "")
		default:
			text := pass.Args[0]
			if len(text) > 8 {
				l2.find(Equivalent, "Cut to 8 bytes, which is all that keepalived sends.")
				text = text[:8]
			} else {
				l2.find(Same, "")
			}
			l2.set(b, "auth_pass", quote(text))
		}
	})
}

// signs reports whether keepalived signs the adverts of an instance.
func signs(instance *keepalived.Node) bool {
	h := instance.Last("auth_hmac")
	if h == nil {
		return false
	}
	return slices.ContainsFunc(h.All("key"), func(k *keepalived.Node) bool { return len(k.Args) > 1 && k.Args[0] == lastArg(h, "active_key") })
}

// hmacWords are the values that keepalived knows.
var hmacWords = map[string][]string{"anti_replay": {"time", "monotonic"}, "mode": {"enforce", "permissive", "receive-only"}}

func (c *converter) authHMAC(l *line, b *block, v *instance) {
	l.find(Same, "")
	h := b.add(&block{kind: "auth_hmac", notes: l.notes()})
	c.each("auth_hmac", l.Children, h, func(l2 *line) {
		switch l2.Keyword {
		case "active_key":
			if _, ok := number(l2.arg(0), 1, 255); !ok {
				l2.doubt(Ignored, "%q is not a number from 1 to 255.", l2.arg(0))
				return
			}
			l2.count(h, "active_key", 1, 255)
		case "anti_replay", "mode":
			if !slices.Contains(hmacWords[l2.Keyword], l2.arg(0)) {
				l2.find(Ignored, "keepalived knows %s.", strings.Join(hmacWords[l2.Keyword], ", "))
				return
			}
			if v.strict && l2.Keyword == "mode" && l2.arg(0) != "enforce" {
				l2.find(Ignored, "keepalived uses enforce in strict mode.")
				return
			}
			l2.find(Same, "")
			l2.set(h, l2.Keyword, quote(l2.arg(0)))
		case "time_window":
			if n, ok := number(l2.arg(0), 1, 300); ok {
				l2.find(Same, "")
				l2.set(h, "time_window", duration(time.Duration(n)*time.Second))
			} else {
				l2.doubt(Ignored, "%q is not a number of seconds from 1 to 300.", l2.arg(0))
			}
		case "key":
			l2.find(Same, "")
			key := h.add(&block{kind: "key", label: l2.arg(0), single: true, notes: l2.notes()})
			if file, is := strings.CutPrefix(l2.arg(1), "file:"); is {
				key.set("file", quote(file), notes{})
			} else {
				key.set("secret", quote(l2.arg(1)), notes{})
			}
		}
	})
}
