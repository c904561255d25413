package convert

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/lvs-ha/lvs-ha/config"
)

// maxRounds limits how often a result is checked after something was left out: what refers to that is refused next.
const maxRounds = 10

// accepted returns the result without what lvs-ha refuses, which becomes findings. A configuration may be valid for keepalived, which
// ignores much of what contradicts itself, and the rules about that are lvs-ha's own: they stand in the package config, not here.
func accepted(root *block, sources []Source, findings []Finding, withoutFiles bool) *Result {
	findings, err := leaveOutRefused(root, sources, findings, withoutFiles)
	if err != nil {
		return &Result{HCL: root.print(), Findings: findings, Err: err}
	}
	return &Result{HCL: shortest(root, root.print(), sources, withoutFiles), Findings: findings}
}

// leaveOutRefused leaves out what lvs-ha refuses. The error is what is still refused.
func leaveOutRefused(root *block, sources []Source, findings []Finding, withoutFiles bool) ([]Finding, error) {
	lost := losses{blocks: map[*block]*Finding{}, names: map[string]bool{}}
	for round := 1; ; round++ {
		text, places := root.layout()
		faults, err := refusals(text, sources, withoutFiles)
		if len(faults) == 0 || round > maxRounds {
			return findings, err
		}
		found := false
		for _, f := range faults {
			at := victim(places, f.Line)
			if at == nil || at.gone() {
				continue // another error in what is left out already is not reported
			}
			found = true
			reason := inResult.ReplaceAllString(strings.TrimSuffix(f.Summary, ".")+": "+f.Detail, "")
			if name := missingBlock(f); lost.names[name] {
				reason = fmt.Sprintf("The %s was left out.", name)
			}
			if cause := lost.cause(at, f); cause != nil {
				findings = lost.fold(at, cause, findings)
				continue
			}
			before := at.in.transport()
			findings = lost.leaveOut(at, reason, findings)
			if after := at.in.transport(); at.up != nil && after != before {
				findings = lost.leaveOut(at.up.outside(), reason+" "+after.instead(before), findings)
			}
		}
		if !found {
			return findings, err
		}
		root.withoutRefused()
	}
}

// transport is how the adverts of an instance are sent.
type transport struct{ ipv6, unicast bool }

// transport returns that of a vrrp block, and the zero value of any other block.
func (b *block) transport() (t transport) {
	if b.get("virtual_router_id") == "" {
		return t
	}
	family := func(text string) bool {
		t.ipv6 = strings.Contains(text, ":")
		return text != ""
	}
	t.unicast = b.left("unicast_peers") != ""
	if family(b.left("addresses")) || family(b.left("excluded_addresses")) {
		return t
	}
	if a := b.find("address"); a != nil && family(a.label) {
		return t
	}
	_ = family(b.get("source_address")) || family(b.left("unicast_peers"))
	return t
}

// left returns what is not refused of a list; "" if nothing is.
func (b *block) left(name string) string {
	for _, i := range b.items {
		if i.name != name || len(i.list) == 0 {
			continue
		}
		var texts []string
		for _, e := range i.list {
			if !e.refused && !e.end {
				texts = append(texts, e.text)
			}
		}
		return strings.Join(texts, " ")
	}
	return b.get(name)
}

// instead says what an instance would do that is left out.
func (t transport) instead(before transport) string {
	if before.unicast && !t.unicast {
		return "Without it, the instance would use multicast, and is left out."
	}
	return "Without it, the instance would use another address family, and is left out."
}

// gone reports whether an item, or the block that it is in, is left out. It is a comment then.
func (p *place) gone() bool {
	it := p.in.items[p.index]
	if p.element != wholeItem && p.element < len(it.list) && it.list[p.element].refused {
		return true
	}
	for up := p; up != nil; up = up.up {
		if up.in.items[up.index].kind() == "comment" {
			return true
		}
	}
	return false
}

// outside returns the dynamic block that a block is the content of, or the block.
func (p *place) outside() *place {
	for p.up != nil && p.in.kind == "dynamic" {
		p = p.up
	}
	return p
}

// withoutRefused removes the elements of lists that lvs-ha refuses.
func (b *block) withoutRefused() {
	for n := range b.items {
		it := &b.items[n]
		if it.block != nil {
			it.block.withoutRefused()
		}
		if !slices.ContainsFunc(it.list, func(e listElement) bool { return e.refused }) {
			continue
		}
		it.list = slices.DeleteFunc(it.list, func(e listElement) bool { return e.refused })
		it.value = it.list.String()
		if !slices.ContainsFunc(it.list, func(e listElement) bool { return !e.end }) {
			*it = item{notes: notes{above: it.lines(), from: it.notes.from}}
		}
	}
}

// shortest returns a valid configuration with its services in groups.
func shortest(root *block, text []byte, sources []Source, withoutFiles bool) []byte {
	grouped, any := group(root)
	if !any {
		return text
	}
	short := grouped.print()
	if faults, _ := refusals(short, sources, withoutFiles); len(faults) > 0 {
		return text
	}
	return short
}

// refusals returns the errors of a configuration on any of the nodes. That a file cannot be used is usually none: it may be on another
// host.
func refusals(text []byte, sources []Source, withoutFiles bool) (faults []config.Finding, err error) {
	for _, s := range sources {
		_, diags := config.LoadText(resultName, text, config.Options{Node: cmp.Or(s.Node, "node")})
		for _, f := range diags.Errors() {
			if withoutFiles || !f.AboutFile() {
				faults = append(faults, f)
				err = cmp.Or(err, diags.Err())
			}
		}
	}
	return faults, err
}

const resultName = "lvs-ha.hcl"

// whole are blocks that would mean something else without one of their attributes.
var whole = map[string]bool{
	"route": true, "rule": true, "static_route": true, "static_rule": true, "static_address": true, "next_hop": true, "key": true,
}

// identities are the attributes without which a block is nothing.
var identities = map[string][]string{
	"vrrp": {"interface", "virtual_router_id"}, "virtual_service": {"address", "mark"}, "content": {"address", "mark"},
}

// victim returns the place of what to leave out for an error in a line: an attribute or a block.
func victim(places []*place, line int) *place {
	if line < 1 || line > len(places) || places[line-1] == nil {
		return nil
	}
	at := places[line-1]
	for up := at; up != nil; up = up.up {
		it := up.in.items[up.index]
		switch {
		case it.block != nil && whole[it.block.kind]:
			at = up
		case it.name != "" && slices.Contains(identities[up.in.kind], it.name):
			at = up.up
		}
	}
	return at
}

const refusal = "lvs-ha does not accept it: "

// Positions in the result change.
var inResult = regexp.MustCompile(` at ` + regexp.QuoteMeta(resultName) + `(:| line )[0-9,-]+`)

// leaveOut makes a comment of an item, or of an element of its list, that lvs-ha refuses, and a finding of the line that it came from.
// It returns that finding, too.
func leaveOut(at *place, reason string, findings []Finding) ([]Finding, Finding) {
	it := &at.in.items[at.index]
	from := it.notes.from
	var e *listElement
	if at.element != wholeItem && at.element < len(it.list) {
		e = &it.list[at.element]
		e.refused = true
		if e.from.Line != 0 {
			from = e.from
		}
		if !strings.Contains(reason, quote(e.text)) {
			reason += fmt.Sprintf(" Left out: %s.", e.text)
		}
	}
	for up := at.up; up != nil && from.Line == 0; up = up.up {
		from = up.in.items[up.index].notes.from
	}
	f := Finding{Position: from.Position, Block: from.block, Word: from.word, Fate: Missing, Text: refusal + reason}
	name := from.word
	if name == "" {
		name = it.name
	}
	note := fmt.Sprintf("%s: %s", name, f.Text)
	if e != nil {
		it.notes.above = slices.Concat(it.notes.above, e.lines(), []string{note})
	} else {
		*it = item{notes: notes{above: append(it.lines(), note), from: from}}
	}
	same := func(g Finding) bool {
		return g.Position == f.Position && (g.Block == f.Block || f.Block == "") && g.Word == f.Word
	}
	i := slices.IndexFunc(findings, same)
	switch {
	case slices.ContainsFunc(findings, f.is): // the same of another part of the result
		return findings, f
	case i < 0:
		return insert(findings, f), f
	}
	f.Block, f.Node = findings[i].Block, findings[i].Node
	if !findings[i].Fate.Lossy() {
		findings[i] = f
		return findings, f
	}
	return slices.Insert(findings, i+1, f), f
}

// insert adds a finding after those of the lines before it.
func insert(findings []Finding, f Finding) []Finding {
	at := -1
	for i, g := range findings {
		if g.File == f.File && g.Line <= f.Line {
			at = i
		}
	}
	if at < 0 {
		return append(findings, f)
	}
	f.Node = findings[at].Node
	if f.Block == "" && findings[at].Line == f.Line {
		f.Block = findings[at].Block
	}
	return slices.Insert(findings, at+1, f)
}

// losses are what was left out so far: what is refused then because of that is no finding of its own.
type losses struct {
	blocks map[*block]*Finding // why an item of a block was left out
	names  map[string]bool     // blocks that were left out, as messages name them
}

// leaveOut leaves out an item and records it.
func (l losses) leaveOut(at *place, reason string, findings []Finding) []Finding {
	if b := at.in.items[at.index].block; b != nil {
		l.names[fmt.Sprintf("%s block %q", b.kind, b.label)] = true
	}
	findings, f := leaveOut(at, reason, findings)
	l.blocks[at.in] = &f
	return findings
}

// follow are parts of messages about a block that lacks something.
var follow = regexp.MustCompile(`^Missing |^Nothing to run|needs at least two|The list is empty|has no effect without`)

// cause returns why a block lacks something, if that is what a fault is about; else nil.
func (l losses) cause(at *place, f config.Finding) *Finding {
	if !follow.MatchString(f.Summary) && !follow.MatchString(f.Detail) {
		return nil
	}
	if b := at.in.items[at.index].block; b != nil && l.blocks[b] != nil {
		return l.blocks[b]
	}
	return l.blocks[at.in]
}

// fold leaves out an item because of what was left out before.
func (l losses) fold(at *place, cause *Finding, findings []Finding) []Finding {
	it := &at.in.items[at.index]
	word := cmp.Or(it.notes.from.word, it.name)
	text := fmt.Sprintf("So %s is left out, too.", word)
	if it.block != nil {
		l.names[fmt.Sprintf("%s block %q", it.block.kind, it.block.label)] = true
	}
	above := it.lines()
	if word != cause.Word { // or the line itself, which is left out with its last value
		above = append(above, text)
	}
	*it = item{notes: notes{above: above, from: it.notes.from}}
	if l.blocks[at.in] == nil {
		l.blocks[at.in] = cause
	}
	i := slices.IndexFunc(findings, cause.is)
	if i < 0 || word == cause.Word || word == "" {
		return findings
	}
	cause.Text += " " + text
	findings[i].Text = cause.Text
	return findings
}

// is reports whether another finding says the same about the same line.
func (f Finding) is(g Finding) bool {
	return g.Position == f.Position && g.Word == f.Word && g.Text == f.Text
}

var missing = regexp.MustCompile(`There is no ([a-z_]+ block "(?:[^"\\]|\\.)*")`)

// missingBlock returns the block that a fault says is missing, or "".
func missingBlock(f config.Finding) string {
	if m := missing.FindStringSubmatch(f.Detail); m != nil {
		return m[1]
	}
	return ""
}
