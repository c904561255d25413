package migrate

import (
	"strings"
	"unicode/utf8"
)

// canonical formats HCL as hclwrite.Format does: indented, with aligned equals signs in consecutive attributes. It
// supports only the lines that this package writes: tokens are separated by one space, and an unclosed bracket ends its
// line.
//
// hclwrite itself would cause a fifth of the page faults of each program start, and scripts start it in loops as
// ipvsadm.
func canonical(text string) string {
	var b strings.Builder
	var run []string // consecutive attributes
	depth := 0
	indent := func(line string) { b.WriteString(strings.Repeat("  ", depth) + line + "\n") }
	flush := func() {
		widest := 0
		for _, line := range run {
			name, _, _ := strings.Cut(line, " = ")
			widest = max(widest, utf8.RuneCountInString(name))
		}
		for _, line := range run {
			name, value, _ := strings.Cut(line, " = ")
			indent(name + strings.Repeat(" ", widest-utf8.RuneCountInString(name)) + " = " + value)
		}
		run = run[:0]
	}
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		opens := strings.HasSuffix(line, "{") || strings.HasSuffix(line, "[")
		if isAttribute(line) && !opens {
			run = append(run, line)
			continue
		}
		flush()
		switch {
		case line == "":
			b.WriteString("\n")
		case line == "}" || line == "]":
			depth--
			indent(line)
		default:
			indent(line)
		}
		if opens && !strings.HasPrefix(line, "#") {
			depth++
		}
	}
	flush()
	return b.String()
}

// isAttribute reports whether a line begins with a name and an equals sign.
func isAttribute(line string) bool {
	name, _, ok := strings.Cut(line, " = ")
	return ok && !strings.ContainsAny(name, "#{ ")
}
