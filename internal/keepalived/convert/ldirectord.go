package convert

import (
	"cmp"
	"errors"
	"regexp"
	"slices"
	"strings"

	"github.com/lvs-ha/lvs-ha/internal/keepalived"
)

// Words of ldirectord's two levels, for the table.
const (
	ldGlobal  = "ldirectord"
	ldVirtual = "ldirectord virtual"
)

var (
	ldAssignment = regexp.MustCompile(`^([A-Za-z0-9_-]+)\s*=\s*(.*)$`)
	ldSection    = regexp.MustCompile(`^virtual6?\s*=`)
)

// Ldirectord converts an ldirectord.cf. The error says that it is none.
func Ldirectord(file string, text []byte) (*Result, error) {
	nodes, end, indented := readLdirectord(file, string(text))
	if !slices.ContainsFunc(nodes, func(n *keepalived.Node) bool { return ldirectordWords[ldGlobal][n.Keyword].fate != "" }) {
		return nil, errors.New("no ldirectord configuration found in it")
	}
	c := &converter{
		source: &keepalived.Config{Nodes: nodes, Files: []string{file}, End: end}, root: &block{}, comments: newComments(), names: map[string]bool{},
		program: "ldirectord", words: ldirectordWords,
	}
	d := &ldirectord{converter: c, seen: map[string]bool{}, indented: indented}
	d.globals = d.read(nodes)
	c.each(ldGlobal, nodes, c.root, d.globalLine)
	c.root.comment(end...)
	slices.SortStableFunc(c.findings, func(a, b Finding) int { return cmp.Compare(a.Line, b.Line) })
	return accepted(c.root, []Source{{}}, c.findings, false), nil
}

// readLdirectord returns the lines of a file, with those of a virtual section as its children, and the comments at the end. A
// section ends at a line that is not indented; ldirectord requires four blanks or a tab. Sections that are indented themselves, which
// ldirectord does not read, are returned too.
func readLdirectord(file, text string) (nodes []*keepalived.Node, end []string, indented map[*keepalived.Node]bool) {
	var above []string
	var section *keepalived.Node
	number, column, within := 0, 0, 0 // column is that of the section; within is how many of the comments above are in it
	indented = map[*keepalived.Node]bool{}
	leave := func() { // the section
		if section != nil && within > 0 {
			section.Children = append(section.Children, &keepalived.Node{Position: keepalived.Position{File: file, Line: number}, Above: above[:within:within]})
			above = above[within:]
		}
		section, within = nil, 0
	}
	for raw := range strings.Lines(text) {
		number++
		raw = strings.TrimRight(raw, "\r\n")
		code, comment, _ := strings.Cut(raw, "#")
		comment = strings.TrimRight(strings.TrimPrefix(strings.TrimLeft(comment, "#"), " "), whitespace)
		code = strings.TrimRight(code, whitespace)
		trimmed := strings.TrimLeft(code, whitespace)
		indent := columns(raw)
		if trimmed == "" {
			if above = append(above, comment); comment != "" && indent > column {
				within = len(above)
			}
			continue
		}
		isSection := ldSection.MatchString(trimmed)
		inside := section != nil && !isSection && (indent > column || indent == column && indent > 0 && onlyInSections(trimmed))
		if !inside {
			leave()
		}
		within = 0
		n := &keepalived.Node{Position: keepalived.Position{File: file, Line: number}, Text: trimmed, Above: above, Trailing: strings.TrimSpace(comment)}
		above = nil
		if m := ldAssignment.FindStringSubmatch(trimmed); m != nil {
			n.Keyword, n.Args = m[1], []string{strings.TrimRight(m[2], whitespace)}
		} else {
			n.Keyword = firstWord(trimmed)
		}
		switch {
		case isSection:
			section, column = n, indent
			indented[n] = indent > 0
			nodes = append(nodes, n)
		case inside:
			section.Children = append(section.Children, n)
		default:
			nodes = append(nodes, n)
		}
	}
	number++
	leave()
	return nodes, above, indented
}

// columns returns how far a line is indented; ldirectord counts a tab as four blanks.
func columns(line string) int {
	blank := line[:len(line)-len(strings.TrimLeft(line, whitespace))]
	return len(strings.ReplaceAll(blank, "\t", "    "))
}

// onlyInSections reports whether a line has a word that can only be in a virtual section.
func onlyInSections(line string) bool {
	m := ldAssignment.FindStringSubmatch(line)
	return m != nil && ldirectordWords[ldVirtual][m[1]].fate != "" && ldirectordWords[ldGlobal][m[1]].fate == ""
}

const whitespace = " \t\f\r\v"

// ldirectord converts a configuration of ldirectord, whose lines are nodes with one argument.
type ldirectord struct {
	*converter
	globals ldSettings
	seen    map[string]bool // virtual services
	ranged  int             // real servers that are listed as ranges

	indented map[*keepalived.Node]bool // sections that ldirectord does not read
}

// ldSettings are the values of the lines of a section; "" is unset.
type ldSettings map[string]string

func (d *ldirectord) read(nodes []*keepalived.Node) ldSettings {
	s := ldSettings{}
	for _, n := range nodes {
		if len(n.Args) == 0 {
			continue
		}
		value := unquote(n.Args[0])
		if choice, ok := ldChoice(n.Keyword, value); ok || n.Keyword == "service" {
			value = choice
		} else {
			continue // ldirectord refuses it
		}
		s[n.Keyword] = value
	}
	return s
}

func unquote(s string) string {
	if inner, ok := strings.CutPrefix(s, `"`); ok {
		if inner, ok = strings.CutSuffix(inner, `"`); ok {
			return inner
		}
	}
	return s
}

// setting returns a value of a virtual section, or else the global one.
func (d *ldirectord) setting(v *ldService, name string) string {
	return cmp.Or(v.own[name], d.globals[name])
}

func (d *ldirectord) globalLine(l *line) {
	value := unquote(l.arg(0))
	if l.Keyword == "virtual" || l.Keyword == "virtual6" {
		d.virtual(l)
		return
	}
	if _, known := ldirectordWords[ldGlobal][l.Keyword]; !known {
		l.find(Differs, "ldirectord does not know this line here and refuses the whole file; it was left out.")
		return
	}
	if l.refusedChoice(value) || l.superseded(d.source.Nodes, l.Keyword) {
		return
	}
	switch l.Keyword {
	case "autoreload", "readdquiescent":
		if value == "no" {
			l.find(Same, "")
		}
	case "emailalert":
		d.email(l, value)
	case "emailalertfreq":
		if value == "0" {
			l.find(Same, "")
		}
	case "cleanstop":
		l.find(Same, "")
	case "checkcount":
		d.checkCount(l, d.globals["checktype"])
	}
}

// email writes a notify_email block.
func (d *ldirectord) email(l *line, value string) {
	var to []string
	for one := range strings.SplitSeq(value, ",") {
		if one = strings.TrimSpace(one); one != "" {
			to = append(to, mailbox(one))
		}
	}
	if len(to) == 0 || d.globals["emailalertstatus"] == "none" {
		l.find(Ignored, "It has no effect.")
		return
	}
	l.find(Same, "")
	if d.globals["smtp"] == "" {
		l.find(Equivalent, "Without smtp, ldirectord runs the local mail program; lvs-ha connects to localhost.")
	}
	b := d.root.add(&block{kind: "notify_email", label: "operators", notes: l.notes()})
	b.set("smtp", quote(cmp.Or(d.globals["smtp"], "localhost")+":25"), notes{})
	b.set("from", quote(mailbox(cmp.Or(d.globals["emailalertfrom"], "root"))), notes{})
	b.set("to", quoteAll(to), notes{})
	b.set("tls", quote("none"), notes{})
	b.set("events", quoteAll([]string{"service", "server"}), notes{})
}

func (d *ldirectord) checkCount(l *line, kind string) {
	if kind == "ping" {
		l.find(Equivalent, "fall is the product of checkcount and failurecount.")
		return
	}
	l.find(Equivalent, "It only affects ping checks, whose fall is the product of checkcount and failurecount.")
}

// stop writes what happens to the services when the program ends; ldirectord removes them by default. It returns the comments of the
// first service.
func (d *ldirectord) stop(head notes) notes {
	if d.lvs || d.globals["cleanstop"] == "no" {
		return head
	}
	d.lvs = true
	return d.removeOnStop(head)
}

func atLeast(s string, least, otherwise int) int {
	if n, ok := number(firstDigits(s), least, 1<<31-1); ok {
		return n
	}
	return otherwise
}

var digitsPattern = regexp.MustCompile(`\d+`)

// firstDigits returns the first number in a text: ldirectord takes it.
func firstDigits(s string) string { return digitsPattern.FindString(s) }

// firstPositive returns the first of some values that is positive.
func firstPositive(values ...int) int {
	for _, v := range values {
		if v > 0 {
			return v
		}
	}
	return 0
}
