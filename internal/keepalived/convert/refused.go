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
	for round := 1; ; round++ {
		text, places := root.layout()
		faults, err := refusals(text, sources, withoutFiles)
		if len(faults) == 0 {
			return &Result{HCL: shortest(root, text, sources, withoutFiles), Findings: findings}
		}
		if round > maxRounds {
			return &Result{HCL: text, Findings: findings, Err: err}
		}
		found := false
		for _, f := range faults {
			// An item that is left out is a comment: another error in it is not reported.
			if at := victim(places, f.Line); at != nil && at.in.items[at.index].kind() != "comment" {
				found = true
				findings = leaveOut(at, f, findings)
			}
		}
		if !found {
			return &Result{HCL: text, Findings: findings, Err: err}
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

// leaveOut makes a comment of an item that lvs-ha refuses, and a finding of the line that it came from.
func leaveOut(at *place, fault config.Finding, findings []Finding) []Finding {
	it := &at.in.items[at.index]
	from := it.notes.from
	for up := at.up; up != nil && from.Line == 0; up = up.up {
		from = up.in.items[up.index].notes.from
	}
	reason := inResult.ReplaceAllString(strings.TrimSuffix(fault.Summary, ".")+": "+fault.Detail, "")
	f := Finding{Position: from.Position, Block: from.block, Word: from.word, Fate: Missing, Text: refusal + reason}
	name := from.word
	if name == "" {
		name = it.name
	}
	above := slices.Concat(it.lines(), []string{fmt.Sprintf("%s: %s", name, f.Text)})
	*it = item{notes: notes{above: above, from: from}}
	same := func(g Finding) bool {
		return g.Position == f.Position && (g.Block == f.Block || f.Block == "") && g.Word == f.Word
	}
	i := slices.IndexFunc(findings, same)
	if i < 0 {
		return append(findings, f)
	}
	f.Block, f.Node = findings[i].Block, findings[i].Node
	if !findings[i].Fate.Lossy() {
		findings[i] = f
		return findings
	}
	return slices.Insert(findings, i+1, f)
}
