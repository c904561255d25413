package convert

import (
	"fmt"
	"slices"
	"strings"
)

// version is a block as one of the nodes has it.
type version struct {
	node  string
	block *block // nil: the node does not have it
}

// merge makes one configuration of those of several nodes. What differs is chosen by node.name.
func merge(versions []version) *block {
	out := &block{kind: versions[0].block.kind, label: versions[0].block.label, single: versions[0].block.single}
	heads := make([]notes, len(versions))
	for i, v := range versions {
		if v.block != nil {
			out.kind, out.label, out.single = v.block.kind, v.block.label, v.block.single
			heads[i] = v.block.notes
		}
	}
	out.notes = mergeNotes(versions, heads)
	items := make([]map[string]*item, len(versions))
	for i, v := range versions {
		items[i] = v.block.byKey()
	}
	for _, key := range mergedKeys(versions) {
		found := make([]*item, len(versions))
		var any *item
		for i := range versions {
			if found[i] = items[i][key]; any == nil {
				any = found[i]
			}
		}
		one, heads := item{name: any.name}, make([]notes, len(versions))
		for i, it := range found {
			if it != nil {
				heads[i] = it.notes
			}
		}
		one.notes = mergeNotes(versions, heads)
		switch {
		case any.block != nil:
			one.block = mergeBlocks(versions, found)
			one.block.notes = one.notes
		case any.name != "":
			if one.list = mergeLists(versions, found); one.list != nil {
				one.value = one.list.String()
				break
			}
			one.value = choose(versions, found)
		}
		out.items = append(out.items, one)
	}
	return out
}

// choose returns an attribute's value: that of all nodes, or an expression that chooses by the node's name.
func choose(versions []version, found []*item) string {
	var cases, rows []string
	same := true
	for i, v := range versions {
		value := "null"
		if found[i] != nil {
			value = found[i].value
		}
		same = same && found[i] != nil && value == found[0].value
		cases = append(cases, fmt.Sprintf("%s = %s", objectKey(v.node), value))
		rows = append(rows, objectKey(v.node)+objectMark+value)
	}
	if same {
		return found[0].value
	}
	if strings.Contains(strings.Join(cases, ""), "\n") {
		return "{\n" + strings.Join(rows, "\n") + "\n}[node.name]"
	}
	return "{ " + strings.Join(cases, ", ") + " }[node.name]"
}

// mergeBlocks merges a block that all nodes have, or makes a dynamic block of one that only some have.
func mergeBlocks(versions []version, found []*item) *block {
	var present []version
	for i, v := range versions {
		if found[i] != nil {
			present = append(present, version{v.node, found[i].block})
		}
	}
	merged := present[0].block
	if len(present) > 1 {
		merged = merge(present)
	}
	if len(present) == len(versions) {
		return merged
	}
	var conditions []string
	for _, v := range present {
		conditions = append(conditions, "node.name == "+quote(v.node))
	}
	condition := strings.Join(conditions, " || ")
	d := &block{kind: "dynamic", label: merged.kind}
	if merged.label == "" {
		d.set("for_each", fmt.Sprintf("%s ? [1] : []", condition), notes{})
	} else {
		d.set("for_each", fmt.Sprintf("%s ? [%s] : []", condition, quote(merged.label)), notes{})
		d.set("labels", fmt.Sprintf("[%s.value]", merged.kind), notes{})
	}
	d.add(&block{kind: "content", items: merged.items})
	return d
}

// mergedKeys returns the keys of all versions: in the order of the first, with what others have beside it after what precedes it
// there, and after the attributes or blocks that only earlier ones have at that place.
func mergedKeys(versions []version) []string {
	var order []string
	known := map[string]bool{}
	for _, v := range versions {
		at, keys := 0, v.block.keys()
		for _, key := range keys {
			switch {
			case at < len(order) && order[at] == key:
			case known[key]:
				at = slices.Index(order, key)
			default:
				kind, _, _ := strings.Cut(key, " ")
				for kind != "comment" && at < len(order) && strings.HasPrefix(order[at], kind+" ") && !slices.Contains(keys, order[at]) {
					at++
				}
				order = slices.Insert(order, at, key)
				known[key] = true
			}
			at++
		}
	}
	return order
}

// keys identifies the items of a block: attributes and blocks by their names, comments by what they follow.
func (b *block) keys() (keys []string) {
	if b == nil {
		return nil
	}
	previous, count := "", map[string]int{}
	for _, it := range b.items {
		key := "attribute " + it.name
		switch {
		case it.block != nil:
			key = "block " + it.block.kind + " " + it.block.label
		case it.name == "":
			key = "comment after " + previous
		}
		if count[key]++; count[key] > 1 {
			key = fmt.Sprintf("%s #%d", key, count[key])
		}
		keys = append(keys, key)
		previous = key
	}
	return keys
}

// byKey returns the items of a block by their keys.
func (b *block) byKey() map[string]*item {
	all := map[string]*item{}
	for i, key := range b.keys() {
		all[key] = &b.items[i]
	}
	return all
}

// mergeNotes returns the comments of several versions. What only some of those with comments have gets the names of their nodes.
func mergeNotes(versions []version, all []notes) (out notes) {
	type line struct {
		text  string
		nodes []string
	}
	var lines []line
	var commenting []string
	trailing := map[string]bool{}
	for _, n := range all {
		if n.trailing != "" {
			trailing[n.trailing] = true
		}
	}
	for i, n := range all {
		above := n.above
		switch {
		case len(trailing) > 1:
			above = n.lines()
		case n.trailing != "":
			out.trailing = n.trailing
		}
		if out.from.Line == 0 {
			out.from = n.from
		}
		if !slices.ContainsFunc(n.lines(), isComment) {
			continue
		}
		node, at := versions[i].node, 0
		commenting = append(commenting, node)
		for i, text := range above {
			same := slices.IndexFunc(lines[at:], func(l line) bool { return l.text == text })
			switch {
			case same >= 0:
				at += same
				lines[at].nodes = append(lines[at].nodes, node)
			case text == "" && len(commenting) > 1:
				continue
			default:
				for at < len(lines) && !slices.Contains(above[i:], lines[at].text) {
					at++
				}
				lines = slices.Insert(lines, at, line{text, []string{node}})
			}
			at++
		}
	}
	for _, l := range lines {
		if l.text != "" && len(l.nodes) < len(commenting) {
			l.text = strings.Join(l.nodes, ", ") + ": " + l.text
		}
		out.above = append(out.above, l.text)
	}
	return out
}

// mergeLists merges lists that only differ in their comments; nil if there are others.
func mergeLists(versions []version, found []*item) (out listBuilder) {
	if found[0] == nil || found[0].list == nil {
		return nil
	}
	lists, ends := make([]listBuilder, len(found)), make([]notes, len(found))
	for node, it := range found {
		if it == nil {
			return nil
		}
		if lists[node], ends[node] = it.list.split(); len(lists[node]) != len(lists[0]) {
			return nil
		}
	}
	for i, e := range lists[0] {
		heads := make([]notes, len(found))
		for node, list := range lists {
			if list[i].text != e.text || list[i].expression != e.expression {
				return nil
			}
			heads[node] = list[i].notes
		}
		out = append(out, listElement{text: e.text, expression: e.expression, notes: mergeNotes(versions, heads)})
	}
	if end := mergeNotes(versions, ends); slices.ContainsFunc(end.above, isComment) {
		out = append(out, listElement{notes: end, end: true})
	}
	return out
}

// split returns the elements of a list, and the comments after them.
func (b listBuilder) split() (elements listBuilder, end notes) {
	for _, e := range b {
		if e.end {
			end = joinNotes(end, e.notes)
		} else {
			elements = append(elements, e)
		}
	}
	return elements, end
}

// joinNotes adds the comments of another line that are not there yet.
func joinNotes(a, b notes) notes {
	for _, line := range b.above {
		if line == "" && len(a.above) == 0 || !slices.Contains(a.above, line) {
			a.above = append(a.above, line)
		}
	}
	if a.from.Line == 0 {
		a.from = b.from
	} else {
		a.from.uses = slices.Concat(a.from.uses, b.from.uses)
	}
	switch {
	case a.trailing == "":
		a.trailing = b.trailing
	case b.trailing != "" && b.trailing != a.trailing:
		a.trailing += "; " + b.trailing
	}
	return a
}

// objectKey writes a node's name as a key: quoted unless it is an identifier.
func objectKey(name string) string {
	for i, r := range name {
		letter := r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !letter && (i == 0 || r != '-' && (r < '0' || r > '9')) {
			return quote(name)
		}
	}
	return name
}
