package convert

import (
	"fmt"
	"slices"
	"strings"
)

// uses converts a track_… block of an instance or a group.
func (c *converter) uses(l *line, b *block, v *instance) {
	l.find(Same, "")
	l.pass()
	kind := l.Keyword
	for _, value := range l.Values {
		at := l.value(value)
		name := value.Words[0]
		use := &block{kind: "track", label: label(name), single: true}
		if kind == "track_interface" {
			use.kind = "track_interface"
		} else if c.tracks[name] != kind {
			why := c.undefined(kind, name)
			at.doubt(Ignored, "%s", why)
			if c.tracks[name] == "" {
				c.carried = append(c.carried, fmt.Sprintf("%s %s: %s", kind, name, why))
			}
			continue
		}
		if slices.ContainsFunc(b.items, func(i item) bool { return i.block != nil && i.block.kind == use.kind && i.block.label == use.label }) {
			at.doubt(Ignored, "keepalived ignores it: it is tracked already.")
			continue
		}
		if !at.useOptions(use, value.Words[1:], v) {
			continue
		}
		if !at.told {
			at.find(Same, "")
		}
		use.notes = at.notes()
		b.add(use)
	}
	b.comment(c.takeEnd(l.Node)...)
}

// undefined says why keepalived ignores the use of a track.
func (c *converter) undefined(kind, name string) string {
	for _, n := range c.source.Nodes {
		if slices.Contains(definitions[kind], n.Keyword) && len(n.Args) > 0 && n.Args[0] == name && c.tracks[name] == "" {
			return fmt.Sprintf("keepalived ignores it: %s %s is defined only later, in line %d. If it is wanted, add: track %s {}", n.Keyword, name, n.Line, quote(label(name)))
		}
	}
	return fmt.Sprintf("There is no %s %s.", definitions[kind][0], name)
}

// definitions are the keywords that define what a track_… block uses.
var definitions = map[string][]string{
	"track_script": {"vrrp_script"}, "track_file": {"track_file", "vrrp_track_file"}, "track_process": {"vrrp_track_process"},
}

// useOptions converts "weight N [reverse]" and what a sync group makes of it. It reports whether the track is used at all.
func (l *line) useOptions(use *block, words []string, v *instance) bool {
	weight := ""
	if len(words) >= 2 && words[0] == "weight" {
		if w, ok := l.lenient(words[1], -254, 254); ok {
			weight = fmt.Sprint(min(max(w, -253), 253))
		} else {
			l.doubt(Ignored, "%q is not a weight from −253 to 253.", words[1])
		}
		if len(words) > 2 && words[2] == "reverse" {
			use.set("reverse", "true", notes{})
		}
	} else if len(words) > 0 {
		l.doubt(Ignored, "keepalived does not know %q here and ignores the line.", words[0])
		return false
	}
	if v != nil && use.kind == "track_interface" && weight != "" && weight != "0" && slices.Contains(v.carriers, l.arg(0)) {
		l.find(Ignored, "keepalived ignores the weight, because the interface has an address of the instance: if it is down, the instance is out of service.")
		use.items = nil
		return true
	}
	grouped := v != nil && (v.group != nil && !v.weighted || v.priority == 255)
	if grouped && use.kind == "track_interface" && weight != "" && weight != "0" {
		if v.priority == 255 {
			l.find(Ignored, "keepalived ignores it, because the instance has priority 255.")
			return false
		}
		l.find(Same, "keepalived complains about the weight, because the instance is in a vrrp_sync_group, and uses it all the same.")
	}
	// keepalived does not look at processes here.
	if grouped && use.kind == "track" && (l.Keyword != "track_process" || v.priority == 255) && (weight != "" && weight != "0" || weight == "" && l.c.weighted(l.Keyword, l.arg(0))) {
		l.find(Ignored, "keepalived ignores a track with a weight, because the instance is in a vrrp_sync_group or has priority 255.")
		return false
	}
	if weight != "" && (weight != "0" || use.kind == "track") {
		use.items = append([]item{{name: "weight", value: weight}}, use.items...)
	}
	return true
}

// weighted reports whether the definition of a track has a weight.
func (c *converter) weighted(kind, name string) bool {
	for _, n := range c.source.Nodes {
		if strings.TrimPrefix(n.Keyword, "vrrp_") == strings.TrimPrefix(kind, "track_") || strings.HasSuffix(n.Keyword, kind) {
			if len(n.Args) > 0 && n.Args[0] == name {
				w := n.Last("weight")
				if w == nil || len(w.Args) == 0 {
					return false
				}
				weight, ok := loose(w.Args[0], -1<<31, 1<<31-1)
				return ok && weight != 0
			}
		}
	}
	return false
}
