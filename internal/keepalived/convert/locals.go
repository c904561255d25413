package convert

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// local is a definition that becomes a local value.
type local struct {
	name, value string
	number      bool // an attribute has it as a number
	used        bool
}

var (
	simpleValue = regexp.MustCompile(`^[A-Za-z0-9_.:/@+-]+$`)
	literal     = regexp.MustCompile(`"[^"\\]*"`)
)

// fewestBytes is how long a value must be to be found within a longer text.
const fewestBytes = 3

// locals writes the definitions of the source as local values, and their names where lines that use them have their values.
func (c *converter) locals() {
	all := map[string]*local{}
	for _, d := range c.source.Definitions {
		l := &local{name: strings.ToLower(d.Name), value: d.Value}
		if all[d.Name] != nil || !simpleValue.MatchString(d.Value) || slices.Contains([]string{"true", "false", "null"}, l.name) {
			l.value = "" // it has several values, or one that is no word
		}
		for other, o := range all {
			if other != d.Name && o.name == l.name {
				l.value = ""
			}
		}
		all[d.Name] = l
	}
	if len(all) == 0 {
		return
	}
	c.root.visit(nil, func(i *item, uses []string) {
		for _, name := range uses {
			if l := all[name]; l != nil && l.value == i.value {
				_, err := strconv.ParseUint(l.value, 10, 32)
				l.number = err == nil && (l.value == "0" || l.value[0] != '0')
			}
		}
	})
	c.root.visit(nil, func(i *item, uses []string) {
		i.value = useLocals(i.value, uses, all)
		for n, e := range i.list {
			i.list[n].expression = useLocals(quote(e.text), e.from.uses, all)
		}
		if i.list != nil {
			i.value = i.list.String()
		}
	})
	c.writeLocals(all)
}

// visit calls a function for every attribute in a block, with the definitions in its line. That of a block which is one line of the source
// is that of its attributes, too.
func (b *block) visit(inherited []string, f func(i *item, uses []string)) {
	if uses := b.notes.from.uses; len(uses) > 0 && (whole[b.kind] || b.kind == "address") {
		inherited = uses
	}
	for i := range b.items {
		switch it := &b.items[i]; {
		case it.block != nil:
			it.block.visit(inherited, f)
		case it.name != "" && it.notes.from.Line > 0:
			f(it, it.notes.from.uses)
		case it.name != "":
			f(it, inherited)
		}
	}
}

// useLocals puts the names of local values in place of the values in an expression of one line.
func useLocals(value string, uses []string, all map[string]*local) string {
	if len(uses) == 0 || strings.Contains(value, "\n") {
		return value
	}
	for _, name := range uses {
		l := all[name]
		switch {
		case l == nil || l.value == "":
		case l.number && value == l.value:
			l.used = true
			return "local." + l.name
		default:
			value = literal.ReplaceAllStringFunc(value, func(text string) string { return l.within(text) })
		}
	}
	return value
}

// within returns a string of HCL with the local value in it.
func (l *local) within(text string) string {
	inner := text[1 : len(text)-1]
	switch {
	case inner == l.value && l.number: // it would no longer be a string
		return text
	case inner == l.value:
		l.used = true
		return "local." + l.name
	}
	before, after, found := strings.Cut(inner, l.value)
	word := regexp.MustCompile(`[0-9A-Za-z_]$`).MatchString(before) || regexp.MustCompile(`^[0-9A-Za-z_]`).MatchString(after)
	if !found || word || len(l.value) < fewestBytes || strings.Contains(after, l.value) || strings.Contains(before+after, "local.") && strings.Contains("local.", l.value) {
		return text
	}
	l.used = true
	return `"` + before + "${local." + l.name + "}" + after + `"`
}

// writeLocals puts the block of local values at the beginning. A definition that is not used so leaves its comments.
func (c *converter) writeLocals(all map[string]*local) {
	b := &block{kind: "locals"}
	for n, d := range c.source.Definitions {
		l, above := all[d.Name], d.Above
		if n == 0 {
			if blank := slices.Index(reversed(above), ""); blank >= 0 {
				b.notes.above, above = above[:len(above)-blank-1], above[len(above)-blank:]
			}
		}
		switch {
		case l.used:
			value := quote(l.value)
			if l.number {
				value = l.value
			}
			b.set(l.name, value, notes{above: above, trailing: d.Trailing, from: origin{d.Position, "", "$" + d.Name, nil}})
		case d.Trailing != "" || slices.ContainsFunc(above, isComment):
			text := "$" + d.Name + "=" + d.Value
			if d.Trailing != "" {
				text += " # " + d.Trailing
			}
			b.comment(append(slices.Clone(above), text)...)
		}
	}
	items := []item{{block: b, notes: b.notes}}
	if !slices.ContainsFunc(b.items, func(i item) bool { return i.name != "" }) { // a block with comments only says nothing
		items = nil
		if slices.ContainsFunc(b.notes.above, isComment) {
			items = append(items, item{notes: b.notes})
		}
		items = append(items, b.items...)
	}
	c.root.items = append(items, c.root.items...)
}

func reversed(lines []string) []string {
	r := slices.Clone(lines)
	slices.Reverse(r)
	return r
}
