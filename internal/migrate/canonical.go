package migrate

import (
	"strings"
	"unicode/utf8"
)

// canonical gives HCL the style of hclwrite.Format: indented, with the equals signs of attributes on following lines below
// each other. It knows the lines that this package writes: their words are one space apart, and a bracket that is not
// closed on its line ends it.
//
// Package hclwrite would do it, and costs each start of the program a fifth of its page faults: scripts start it in loops
// as ipvsadm.
func canonical(text string) string {
	var b strings.Builder
	var run []string // attributes on lines that follow each other
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

// isAttribute says whether a line begins with a name and an equals sign.
func isAttribute(line string) bool {
	name, _, ok := strings.Cut(line, " = ")
	return ok && !strings.ContainsAny(name, "#{ ")
}
