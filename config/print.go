package config

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// Limits of the output for one finding.
const (
	maxLines = 4     // of source
	maxWidth = 160   // bytes of a line of source
	maxText  = 2_000 // bytes of a detail
	maxValue = 80    // bytes of a value in an expression
)

// printer prints findings with their source. The cost depends on the output, not on the size of the file.
type printer struct {
	text    bytes.Buffer
	sources map[string]*sourceFile
	hide    masker

	red, yellow, underline, reset string
}

func newPrinter(sources map[string]*sourceFile, secrets *secrets, color bool) *printer {
	p := &printer{sources: sources, hide: secrets.masker()}
	if color {
		p.red, p.yellow, p.underline, p.reset = "\x1b[31m", "\x1b[33m", "\x1b[1;4m", "\x1b[0m"
	}
	return p
}

func (p *printer) finding(g *alike) {
	diag := g.first
	times := ""
	if len(g.places) > 1 {
		times = fmt.Sprintf(" (%d times)", len(g.places))
	}
	fmt.Fprintf(&p.text, "%s: %s%s\n\n", p.severity(diag.Severity), p.message(diag.Summary), times)
	if diag.Subject != nil {
		p.snippet(diag)
	}
	if len(g.places) > 1 {
		fmt.Fprintf(&p.text, "Also at %s.\n\n", places(g.places[1:]))
	}
	if statements := p.values(diag); len(statements) > 0 {
		fmt.Fprintf(&p.text, "with %s.\n\n", strings.Join(statements, ",\n     "))
	}
	if diag.Detail != "" {
		fmt.Fprintf(&p.text, "%s\n\n", p.message(diag.Detail))
	}
}

// rest summarizes the omitted findings.
func (p *printer) rest(all *groups) {
	for i, k := range all.kinds {
		if i == maxAlike {
			fmt.Fprintf(&p.text, "Findings of %d other kinds are not shown.\n\n", len(all.kinds)-i)
			return
		}
		hidden := all.hidden[k]
		fmt.Fprintf(&p.text, "%s: %s: %d more, at %s.\n\n", p.severity(k.severity), p.message(k.summary), len(hidden), places(hidden))
	}
}

func (p *printer) severity(s hcl.DiagnosticSeverity) string {
	if s == hcl.DiagWarning {
		return p.yellow + "Warning" + p.reset
	}
	return p.red + "Error" + p.reset
}

// message sanitizes a text from any source.
func (p *printer) message(text string) string { return cut(clean(p.hide.text(text)), maxText) }

// places lists the first of several positions.
func places(all []hcl.Range) string {
	var b strings.Builder
	file := ""
	for i, at := range all[:min(len(all), maxPlaces)] {
		switch {
		case i == 0:
		case i == len(all)-1:
			b.WriteString(" and ")
		default:
			b.WriteString(", ")
		}
		if at.Filename != file {
			file = at.Filename
			b.WriteString(clean(file) + " ")
		}
		fmt.Fprintf(&b, "line %d", at.Start.Line)
	}
	if more := len(all) - maxPlaces; more > 0 {
		fmt.Fprintf(&b, " and %d more", more)
	}
	return b.String()
}

// snippet prints the source lines of a finding.
func (p *printer) snippet(diag *hcl.Diagnostic) {
	subject := *diag.Subject
	file := p.sources[subject.Filename]
	in := ""
	if file != nil {
		if outer := file.outerBlock(subject.Start.Byte); outer != "" {
			in = ", in " + cut(p.message(outer), maxWidth)
		}
	}
	fmt.Fprintf(&p.text, "  on %s line %d%s:\n", clean(subject.Filename), subject.Start.Line, in)
	if file == nil || subject.Start.Byte < 0 || subject.Start.Byte > len(file.text) {
		fmt.Fprintf(&p.text, "  (source code not available)\n\n")
		return
	}
	if subject.Empty() {
		subject.End.Byte++
	}
	shown := subject
	if diag.Context != nil {
		shown = hcl.RangeOver(subject, *diag.Context)
	}
	src := file.text
	start, line := lineStart(src, subject.Start.Byte), subject.Start.Line
	for start > shown.Start.Byte && subject.Start.Line-line < maxLines/2 {
		start, line = lineStart(src, start-1), line-1
	}
	for n := 0; n < maxLines && start < len(src) && start < shown.End.Byte; n++ {
		end := len(src)
		if i := bytes.IndexByte(src[start:], '\n'); i >= 0 {
			end = start + i
		}
		fmt.Fprintf(&p.text, "%4d: %s\n", line, p.line(subject, src, start, end))
		start, line = end+1, line+1
	}
	p.text.WriteByte('\n')
}

// line returns a line of source around the subject, truncated, escaped and without secrets.
func (p *printer) line(subject hcl.Range, src []byte, start, end int) string {
	for end > start && src[end-1] == '\r' {
		end--
	}
	from := min(max(subject.Start.Byte, start), end)
	to := min(max(subject.End.Byte, from), end)
	left, right := start, end
	if end-start > maxWidth {
		left = max(start, min(from-maxWidth/4, end-maxWidth))
		right = min(end, left+maxWidth)
		// A character has at most utf8.UTFMax bytes; a longer run of continuation bytes is not text.
		for i := 1; i < utf8.UTFMax && left > start && !utf8.RuneStart(src[left]); i++ {
			left--
		}
		for i := 1; i < utf8.UTFMax && right < end && !utf8.RuneStart(src[right]); i++ {
			right--
		}
	}
	to = min(to, right)
	visible := p.hide.source(subject.Filename, src, left, right)
	part := func(from, to int) string { return clean(string(visible[from-left : to-left])) }
	text := part(left, from)
	if from < to {
		text += p.underline + part(from, to) + p.reset + part(to, right)
	} else {
		text += part(from, right)
	}
	if left > start {
		text = "…" + text
	}
	if right < end {
		text += "…"
	}
	return text
}

// lineStart returns the start of the line with the byte at i.
func lineStart(src []byte, i int) int { return bytes.LastIndexByte(src[:i], '\n') + 1 }

// outerBlock returns the header of the outermost block around a position.
func (f *sourceFile) outerBlock(offset int) string {
	i, found := slices.BinarySearchFunc(f.blocks, offset, func(b span, offset int) int {
		return cmp.Compare(b.start, offset)
	})
	if !found {
		i--
	}
	if i < 0 || offset >= f.blocks[i].end {
		return ""
	}
	header := f.text[f.blocks[i].start:f.blocks[i].end]
	if bracket := bytes.IndexByte(header, '{'); bracket >= 0 {
		header = header[:bracket]
	}
	return strings.Join(strings.Fields(string(header)), " ")
}

// values lists the values of variables in the expression of a finding.
func (p *printer) values(diag *hcl.Diagnostic) []string {
	if diag.Expression == nil || diag.EvalContext == nil {
		return nil
	}
	var statements []string
	for _, traversal := range diag.Expression.Variables() {
		value, diags := traversal.TraverseAbs(diag.EvalContext)
		if diags.HasErrors() || !value.IsKnown() {
			continue
		}
		statement := cut(p.message(traversalText(traversal)), maxWidth) + " as " + p.message(valueText(p.hide, value))
		if !slices.Contains(statements, statement) {
			statements = append(statements, statement)
		}
		if len(statements) == maxPlaces {
			break
		}
	}
	slices.Sort(statements)
	return statements
}

func traversalText(traversal hcl.Traversal) string {
	var b strings.Builder
	for _, step := range traversal {
		switch step := step.(type) {
		case hcl.TraverseRoot:
			b.WriteString(step.Name)
		case hcl.TraverseAttr:
			b.WriteString("." + step.Name)
		case hcl.TraverseIndex:
			b.WriteString("[" + valueText(masker{}, step.Key) + "]")
		}
	}
	return b.String()
}

func valueText(hide masker, value cty.Value) string {
	if value.IsNull() {
		return "null"
	}
	t := value.Type()
	switch {
	case t == cty.Bool:
		return strconv.FormatBool(value.True())
	case t == cty.Number:
		return value.AsBigFloat().Text('g', 10)
	case t == cty.String:
		return `"` + cut(clean(hide.text(value.AsString())), maxValue) + `"`
	case t.IsObjectType():
		return "object with " + quantity(len(t.AttributeTypes()), "attribute")
	case t.IsCollectionType(), t.IsTupleType():
		return t.FriendlyName() + " with " + quantity(value.LengthInt(), "element")
	}
	return t.FriendlyName()
}

// quantity formats a number with its noun: "1 element", "3 elements".
func quantity(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// clean escapes unprintable characters, since a configuration may contain terminal control sequences.
func clean(text string) string {
	if !strings.ContainsFunc(text, isUnprintable) {
		return text
	}
	var b strings.Builder
	for i, r := range text {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(text[i:], string(utf8.RuneError)):
			fmt.Fprintf(&b, `\x%02x`, text[i])
		case !isUnprintable(r):
			b.WriteRune(r)
		default:
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		}
	}
	return b.String()
}

func isUnprintable(r rune) bool {
	return r != '\n' && r != '\t' && (r == utf8.RuneError || !unicode.IsPrint(r))
}

// cut shortens a text to a number of bytes.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	for most > 0 && !utf8.RuneStart(text[most]) {
		most--
	}
	return text[:most] + "…"
}
