package migrate

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// group is a list of blocks that differ only in name and identity.
type group []block

// alike groups blocks that differ only in name and identity, ordered by their first block.
func alike(blocks []block) []group {
	var order []string
	groups := map[string]group{}
	for _, b := range blocks {
		key := b.identity + "\n" + b.options + "\n" + b.serverText(false)
		if groups[key] == nil {
			order = append(order, key)
		}
		groups[key] = append(groups[key], b)
	}
	list := make([]group, 0, len(order))
	for _, key := range order {
		list = append(list, groups[key])
	}
	return list
}

// dynamicGain is the number of lines that a dynamic block must save to justify the indirection.
const dynamicGain = 4

// isDynamic reports whether the group should be one dynamic block.
func (g group) isDynamic() bool {
	return strings.Count(g.dynamic(g[0].serverText(false)), "\n")+dynamicGain <= strings.Count(g.each(""), "\n")
}

// each writes the blocks one by one, with the given servers or each with its own.
func (g group) each(servers string) string {
	texts := make([]string, len(g))
	for i, b := range g {
		own := servers
		if own == "" {
			own = b.serverText(b.nat)
		}
		texts[i] = b.text(own)
	}
	return strings.Join(texts, "\n")
}

// dynamic writes the blocks as one dynamic block.
func (g group) dynamic(servers string) string {
	var b strings.Builder
	fmt.Fprint(&b, "dynamic \"virtual_service\" {\nfor_each = {\n")
	for _, one := range g {
		fmt.Fprintf(&b, "%s = %s\n", objectKey(one.name), one.value)
	}
	fmt.Fprintf(&b, "}\nlabels = [virtual_service.key]\n\ncontent {\n%s = virtual_service.value\n%s%s}\n}\n",
		g[0].identity, g[0].options, afterEmptyLine(servers))
	return b.String()
}

var identifier = regexp.MustCompile(`^[a-z_][a-z0-9_-]*$`)

// objectKey formats an object's key, quoted if it is not an identifier.
func objectKey(name string) string {
	if identifier.MatchString(name) {
		return name
	}
	return fmt.Sprintf("%q", name)
}

// shared is a set of servers used by several blocks, written as a local value.
type shared struct {
	name     string
	servers  []serverBlock
	weighted bool // the servers' weights differ
}

// localValue writes the definition.
func (s shared) localValue() string {
	var b strings.Builder
	for _, d := range s.servers {
		if s.weighted {
			fmt.Fprintf(&b, "%q = %d\n", d.label(false), d.weight)
		} else {
			fmt.Fprintf(&b, "%q,\n", d.label(false))
		}
	}
	if s.weighted {
		return fmt.Sprintf("%s = {\n%s}\n", s.name, b.String())
	}
	return fmt.Sprintf("%s = [\n%s]\n", s.name, b.String())
}

// use writes a reference to the value.
func (s shared) use() string {
	element, content := "value", s.servers[0].options
	if s.weighted {
		element, content = "key", "weight = real_server.value\n"+content
	} else if w := s.servers[0].weight; w != 1 {
		content = fmt.Sprintf("weight = %d\n", w) + content
	}
	open, end := "{\n", "}\n"
	if content == "" {
		open, end = "{", "}\n"
	}
	return fmt.Sprintf("dynamic \"real_server\" {\nfor_each = local.%s\nlabels = [real_server.%s]\ncontent %s%s%s}\n", s.name, element, open, content, end)
}

// isUniform reports whether the servers differ at most in their weights.
func isUniform(servers []serverBlock) bool {
	return len(servers) > 0 && !slices.ContainsFunc(servers, func(d serverBlock) bool { return d.options != servers[0].options })
}

// layOut writes all blocks: blocks that differ only in identity as one dynamic block if that is shorter, and sets of
// servers used more than once as local values.
func layOut(blocks []block) string {
	groups := alike(blocks)
	places := map[string]int{} // occurrences of a set of servers
	for _, g := range groups {
		n := len(g)
		if g.isDynamic() {
			n = 1
		}
		places[g[0].serverText(false)] += n
	}
	sets := map[string]shared{}
	var locals, body strings.Builder
	for _, g := range groups {
		own := g[0].serverText(false)
		set, known := sets[own]
		if !known && isUniform(g[0].servers) && isWorthSharing(own, len(g[0].servers), places[own]) {
			servers := g[0].servers
			set = shared{name: localName(g[0].name, len(sets)), servers: servers, weighted: slices.ContainsFunc(servers,
				func(d serverBlock) bool { return d.weight != servers[0].weight })}
			sets[own], known = set, true
			locals.WriteString(afterEmptyLine(set.localValue()))
		}
		servers := ""
		if known {
			servers = set.use()
		}
		body.WriteString("\n")
		if g.isDynamic() {
			if servers == "" {
				servers = own
			}
			body.WriteString(g.dynamic(servers))
		} else {
			body.WriteString(g.each(servers))
		}
	}
	if locals.Len() == 0 {
		return body.String()
	}
	return fmt.Sprintf("\nlocals {\n%s}\n%s", strings.TrimPrefix(locals.String(), "\n"), body.String())
}

// isWorthSharing compares the number of lines with and without a local value.
func isWorthSharing(text string, servers, places int) bool {
	const definition, use = 2, 5 // lines in addition to the servers
	lines := strings.Count(text, "\n")
	return places > 1 && definition+servers+places*use+dynamicGain <= places*lines
}

// localName names a set after the first service that uses it.
func localName(service string, before int) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, service)
	if before > 0 {
		return fmt.Sprintf("%s_servers_%d", name, before+1)
	}
	return name + "_servers"
}
