package config

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// Limits of the printed problems. An invalid for_each or an unrelated file causes thousands of findings.
const (
	maxShown  = 50 // findings
	maxAlike  = 10 // findings with the same summary
	maxPlaces = 5  // positions of equal findings
)

// Diagnostics are the problems of a configuration, ordered by file and line, with the source for snippets.
type Diagnostics struct {
	list    hcl.Diagnostics
	sources map[string]*sourceFile
	secrets secrets

	isSyntax bool // the file could not be parsed, so its secrets are unknown
}

// Finding is a problem of a configuration as plain values without secrets, for logs and the API.
type Finding struct {
	Warning bool // false: an error
	Summary string
	Detail  string
	File    string // "" if the problem has no position in a file
	Line    int
	Count   int // number of positions with the same problem; File and Line are the first
}

// String returns the finding in one line: "file:line: summary. Detail".
func (f Finding) String() string {
	text := strings.TrimSuffix(f.Summary, ".") + ". " + f.Detail
	if f.Count > 1 {
		text += fmt.Sprintf(" (%d times)", f.Count)
	}
	if f.File == "" {
		return text
	}
	return fmt.Sprintf("%s:%d: %s", f.File, f.Line, text)
}

// AboutFile reports whether the problem is a file that the configuration names and that this host cannot use.
func (f Finding) AboutFile() bool {
	return strings.HasPrefix(f.Summary, "Cannot use ") || f.Summary == "Cannot read the key" || f.Summary == "Cannot read password_file"
}

// HasErrors reports whether the configuration is invalid.
func (d *Diagnostics) HasErrors() bool { return d.list.HasErrors() }

// Errors returns all errors, each at its own position.
func (d *Diagnostics) Errors() (all []Finding) {
	hide := d.secrets.masker()
	for _, one := range d.list {
		if one.Severity == hcl.DiagError {
			all = append(all, finding(one, hide))
		}
	}
	return all
}

func finding(d *hcl.Diagnostic, hide masker) Finding {
	f := Finding{
		Warning: d.Severity == hcl.DiagWarning,
		Summary: oneLine(hide, d.Summary), Detail: oneLine(hide, d.Detail), Count: 1,
	}
	if d.Subject != nil {
		f.File, f.Line = clean(d.Subject.Filename), d.Subject.Start.Line
	}
	return f
}

// Findings returns the problems that Write prints, and the number of omitted ones.
func (d *Diagnostics) Findings() (shown []Finding, more int) {
	all := group(d.list)
	hide := d.secrets.masker()
	for _, g := range all.shown {
		f := finding(g.first, hide)
		f.Count = len(g.places)
		shown = append(shown, f)
	}
	return shown, all.more()
}

// Write prints the problems with file, line and snippet: equal ones once, at most fifty. Secrets are masked and terminal
// control characters escaped.
func (d *Diagnostics) Write(w io.Writer, color bool) error {
	shown, rest := d.Texts(color)
	if _, err := io.WriteString(w, strings.Join(shown, "")+rest); err != nil {
		return fmt.Errorf("printing the problems of the configuration: %w", err)
	}
	return nil
}

// Texts returns what Write prints: a text for each of Findings, and one about the omitted ones. Each ends with an empty line.
func (d *Diagnostics) Texts(color bool) (shown []string, rest string) {
	all := group(d.list)
	p := newPrinter(d.sources, &d.secrets, color)
	p.hide.guess = d.isSyntax
	for _, g := range all.shown {
		p.finding(g)
		shown = append(shown, p.text.String())
		p.text.Reset()
	}
	p.rest(all)
	return shown, p.text.String()
}

// Err returns the errors as one error with one line each, without snippets, or nil.
func (d *Diagnostics) Err() error {
	if !d.HasErrors() {
		return nil
	}
	var lines []string
	shown, more := d.Findings()
	for _, f := range shown {
		if !f.Warning {
			lines = append(lines, f.String())
		}
	}
	if more > 0 {
		lines = append(lines, fmt.Sprintf("%d more findings are not shown", more))
	}
	return errors.New(strings.Join(lines, "\n"))
}

// oneLine makes a message fit on one line of a log.
func oneLine(hide masker, text string) string {
	return cut(clean(strings.Join(strings.Fields(hide.text(text)), " ")), maxText)
}

// alike is one or more equal findings.
type alike struct {
	first  *hcl.Diagnostic
	places []hcl.Range
}

// kind is the common part of findings that report the same problem of different objects.
type kind struct {
	severity hcl.DiagnosticSeverity
	summary  string
}

// groups are the findings to show, in order, and the number of others of each kind.
type groups struct {
	shown  []*alike
	kinds  []kind
	hidden map[kind][]hcl.Range
}

func (g *groups) more() int {
	n := 0
	for _, places := range g.hidden {
		n += len(places)
	}
	return n
}

// group combines equal findings and selects those to show: errors before warnings if there are too many.
func group(list hcl.Diagnostics) *groups {
	type key struct {
		kind
		detail string
	}
	known := map[key]*alike{}
	var all []*alike
	for _, diag := range list {
		k := key{kind{diag.Severity, diag.Summary}, diag.Detail}
		if g, ok := known[k]; ok && g.first.Subject != nil {
			g.places = append(g.places, place(diag))
			continue
		}
		g := &alike{first: diag, places: []hcl.Range{place(diag)}}
		known[k] = g
		all = append(all, g)
	}
	if len(all) > maxShown {
		slices.SortStableFunc(all, func(a, b *alike) int { return cmp.Compare(a.first.Severity, b.first.Severity) })
	}
	result := &groups{hidden: map[kind][]hcl.Range{}}
	count := map[kind]int{}
	for _, g := range all {
		k := kind{g.first.Severity, g.first.Summary}
		if count[k]++; count[k] <= maxAlike && len(result.shown) < maxShown {
			result.shown = append(result.shown, g)
			continue
		}
		if _, ok := result.hidden[k]; !ok {
			result.kinds = append(result.kinds, k)
		}
		result.hidden[k] = append(result.hidden[k], g.places...)
	}
	return result
}

// tidy sorts problems by position and removes repetitions, which dynamic blocks cause.
func tidy(list hcl.Diagnostics) hcl.Diagnostics {
	slices.SortStableFunc(list, func(a, b *hcl.Diagnostic) int {
		return cmp.Or(
			cmp.Compare(place(a).Filename, place(b).Filename),
			cmp.Compare(place(a).Start.Byte, place(b).Start.Byte),
			cmp.Compare(a.Summary, b.Summary),
			cmp.Compare(a.Detail, b.Detail),
		)
	})
	return slices.CompactFunc(list, func(a, b *hcl.Diagnostic) bool {
		return a.Severity == b.Severity && place(a) == place(b) && a.Summary == b.Summary && a.Detail == b.Detail
	})
}

func place(diag *hcl.Diagnostic) hcl.Range {
	if diag.Subject == nil {
		return hcl.Range{}
	}
	return *diag.Subject
}

// problem is an error with a position in the configuration.
func problem(at hcl.Range, summary, detail string, args ...any) *hcl.Diagnostic {
	diag := &hcl.Diagnostic{Severity: hcl.DiagError, Summary: summary, Detail: fmt.Sprintf(detail, args...)}
	if at.Filename != "" {
		diag.Subject = &at
	}
	return diag
}

// warning is a problem that does not make the configuration invalid.
func warning(at hcl.Range, summary, detail string, args ...any) *hcl.Diagnostic {
	diag := problem(at, summary, detail, args...)
	diag.Severity = hcl.DiagWarning
	return diag
}
