package keepalived

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxPending bounds repetitions and definitions within one another.
const maxPending = 1000

// maxReplacements bounds the variables in a line: one that contains itself would never end.
const maxReplacements = 1000

// maxLines bounds the lines that a configuration can become: repetitions multiply them.
const maxLines = 2_000_000

// line is a line after variables, conditions and repetitions. "{" and "}" stand on lines of their own.
type line struct {
	Position
	text     string
	above    []string // comments on lines of their own before it; "" is an empty line
	trailing string   // the comment behind it
	uses     []string // the names of the definitions in it
}

// generator returns the lines of a repetition or of a definition with several lines, one at a time.
type generator func() (text string, more bool)

type lines struct {
	source  *source
	node    string // keepalived's --config-id
	defs    map[string]definition
	pending []generator // the last one first
	residue string      // the rest of the line after a brace
	at      Position
	above   []string
	comment string
	uses    []string
	defined func(Definition)
	count   int
	limit   int             // of count
	depth   int             // of open braces
	marked  bool            // a Template was reported
	named   map[string]bool // nodes in lines @NODE
}

type definition struct {
	value     string
	multiline bool // value has one line or more, each ending with "\n" but the last
}

func (l *lines) problem(code Code, subject string) {
	l.source.report(Problem{Position: l.at, Code: code, Subject: subject})
}

// next returns the next line that is not empty.
func (l *lines) next() (line, bool) {
	for {
		text, ok := l.take()
		if !ok {
			return line{}, false
		}
		if l.count++; l.count > l.limit || len(l.pending) > maxPending {
			l.problem(TooMuch, fmt.Sprintf("%d lines", l.limit))
			l.source.open, l.pending, l.residue = nil, nil, ""
			return line{}, false
		}
		if text != "" {
			text = l.expand(text)
		}
		if text == "" || l.include(text) {
			if l.residue == "" && len(l.pending) == 0 && l.comment != "" {
				l.above, l.comment = append(l.above, l.comment), ""
			}
			continue
		}
		return l.cut(text), true
	}
}

// keep hands the comments of a line that becomes nothing to the next one. The text, if it is not empty, says what they are about.
func (l *lines) keep(from line, text string) {
	kept := from.above
	switch {
	case !commented(from.above) && from.trailing == "":
	case text == "" && from.trailing != "":
		kept = append(kept, from.trailing)
	case from.trailing != "":
		kept = append(kept, text+" # "+from.trailing)
	case text != "":
		kept = append(kept, text)
	}
	l.above = append(kept, l.above...)
}

func commented(lines []string) bool {
	return slices.ContainsFunc(lines, func(comment string) bool { return comment != "" })
}

// take returns the next line before anything in it is replaced.
func (l *lines) take() (string, bool) {
	if text := l.residue; text != "" {
		l.residue = ""
		return text, true
	}
	l.uses = nil
	if n := len(l.pending); n > 0 {
		text, more := l.pending[n-1]()
		if !more {
			l.pending = append(l.pending[:n-1], l.pending[n:]...)
		}
		return text, true
	}
	for {
		p, ok := l.source.next()
		if !ok {
			return "", false
		}
		if p.text == "" {
			l.above = append(l.above, p.comment)
			continue
		}
		l.at, l.comment = p.Position, p.comment
		return p.text, true
	}
}

// expand evaluates a condition, a definition or a repetition, and otherwise replaces the variables of a line. It returns "" if
// nothing is left of it.
func (l *lines) expand(text string) string {
	if text[0] == '@' {
		if text = l.condition(text); text == "" {
			return ""
		}
	}
	if l.define(text) {
		return ""
	}
	if strings.HasPrefix(text, "~SEQ") || strings.HasPrefix(text, "~LST") {
		parse := parseSequence
		if text[1] == 'L' {
			parse = parseList
		}
		if g := parse(l, text); g != nil {
			l.pending = append(l.pending, g)
		} else {
			l.problem(InvalidSequence, text)
		}
		return ""
	}
	if text[0] == '~' || !strings.Contains(text, "$") {
		return text
	}
	if replaced, any := l.replace(text); any {
		text, _, _ = decomment(replaced)
	}
	return text
}

// condition returns the rest of a line that begins with @NODE or @^NODE, or "" if it is not for this node.
func (l *lines) condition(text string) string {
	name, rest, found := strings.Cut(text[1:], " ")
	if tab := strings.IndexByte(name, '\t'); tab >= 0 {
		name, rest, found = text[1:1+tab], text[1+tab:], true
	}
	rest = strings.TrimLeft(rest, " \t")
	other, negated := strings.CutPrefix(name, "^")
	if !negated && other != "" {
		l.named[other] = true
	}
	if !found || (l.node == "" || other != l.node) != negated {
		l.problem(OtherNode, text)
		return ""
	}
	return rest
}

// define records a definition: $NAME=VALUE without a blank before "=". A value that ends with a backslash continues on the
// following lines.
func (l *lines) define(text string) bool {
	name, value, found := strings.Cut(text, "=")
	if !found || !strings.HasPrefix(name, "$") || !isName(name[1:]) {
		return false
	}
	value = strings.TrimLeft(value, " \t")
	var d definition
	first, continued := strings.CutSuffix(value, `\`)
	if !continued {
		l.defs[name[1:]] = definition{value: value}
		l.defined(Definition{Position: l.at, Name: name[1:], Value: value, Above: l.above, Trailing: l.comment})
		l.above, l.comment = nil, ""
		return true
	}
	d.multiline = true
	var parts []string
	if first = strings.TrimRight(first, " \t"); first != "" {
		parts = append(parts, first)
	}
	for continued {
		p, ok := l.source.next()
		if !ok || p.blank {
			break
		}
		var part string
		part, continued = strings.CutSuffix(p.text, `\`)
		if part = strings.TrimRight(part, " \t"); part != "" || !continued {
			parts = append(parts, part)
		}
	}
	d.value = strings.Join(parts, "\n")
	d.multiline = len(parts) > 0
	l.defs[name[1:]] = d
	return true
}

func isName(s string) bool {
	for i := range len(s) {
		if c := s[i]; c != '_' && (c|0x20 < 'a' || c|0x20 > 'z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

// replace replaces the variables of a line: ${NAME} anywhere, $NAME before a blank, a comma, a parenthesis or the end. A value
// of several lines, which only the end of a line can have, becomes pending lines.
func (l *lines) replace(text string) (string, bool) {
	from, any := 0, false
	for range maxReplacements {
		dollar := strings.IndexByte(text[from:], '$')
		if dollar < 0 {
			return text, any
		}
		dollar += from
		name, parameters, length := reference(text[dollar:])
		value, ok := l.value(name, parameters, dollar+length == len(text))
		if !ok {
			from = dollar + 1
			continue
		}
		text, from, any = text[:dollar]+value+text[dollar+length:], dollar, true
		if len(text) > maxLine || strings.HasPrefix(strings.TrimLeft(value, " \t"), "~") {
			return text, true
		}
	}
	l.problem(TooMuch, text)
	return "", true
}

// reference parses a reference to a variable at the beginning of a text. It returns the name, the parameters in braces, and the
// length of the reference.
func reference(text string) (name string, parameters []string, length int) {
	if rest, braced := strings.CutPrefix(text, "${"); braced {
		inside, _, closed := strings.Cut(rest, "}")
		words := strings.Fields(inside)
		if !closed || len(words) == 0 || !strings.HasPrefix(inside, words[0]) || len(words) > 1 && !strings.HasSuffix(inside, words[len(words)-1]) {
			return "", nil, 0
		}
		return words[0], words[1:], len("${}") + len(inside)
	}
	end := 1
	for end < len(text) && isName("_"+text[end:end+1]) {
		end++
	}
	if end < len(text) && strings.IndexByte(" \t,)", text[end]) < 0 {
		return "", nil, 0
	}
	return text[1:end], nil, end
}

// value returns a variable's value, or its first line if it has several.
func (l *lines) value(name string, parameters []string, last bool) (string, bool) {
	if !isName(name) {
		return "", false
	}
	if d, ok := l.defs[name]; ok {
		if len(parameters) > 0 || d.multiline && !last {
			return "", false
		}
		if !d.multiline {
			l.uses = append(l.uses, name)
			return d.value, true
		}
		first, rest, more := strings.Cut(d.value, "\n")
		if more {
			l.pending = append(l.pending, func() (string, bool) {
				var next string
				next, rest, more = strings.Cut(rest, "\n")
				return next, more
			})
		}
		return first, true
	}
	switch name {
	case "_PWD":
		dir, err := filepath.Abs(l.source.directory())
		return dir, err == nil
	case "_INSTANCE":
		return l.node, true
	case "_HASH":
		return "#", true
	case "_BANG":
		return "!", true
	case "_RANDOM":
		l.problem(RandomValue, "${_RANDOM}")
		if len(parameters) > 0 {
			return parameters[0], true
		}
		return "0", true
	case "_ENV":
		if len(parameters) != 1 {
			return "", false
		}
		l.problem(EnvironmentValue, parameters[0])
		return os.Getenv(parameters[0]), true
	}
	return "", false
}

// include opens the files of an include line.
func (l *lines) include(text string) bool {
	rest, found := strings.CutPrefix(text, "include")
	if !found || rest == "" {
		return false
	}
	if strings.IndexByte("rmwba", rest[0]) >= 0 {
		rest = rest[1:]
	}
	if rest == "" || strings.IndexByte(whitespace, rest[0]) < 0 {
		return false
	}
	pattern := strings.TrimLeft(rest, " \t")
	if !filepath.IsAbs(pattern) {
		pattern = filepath.Join(l.source.directory(), pattern)
	}
	paths, err := l.source.files.Glob(pattern)
	if err == nil && len(paths) == 0 {
		err = os.ErrNotExist
	}
	for i := len(paths) - 1; i >= 0 && err == nil; i-- {
		err = l.source.include(paths[i])
	}
	if err != nil {
		l.problem(IncludeFailed, fmt.Sprintf("%s: %v", pattern, err))
	}
	return true
}

// cut returns the part of a text up to a brace outside of quotes, or the brace that it begins with, and keeps the rest.
func (l *lines) cut(text string) line {
	at := brace(text)
	if at >= 0 && !l.marked && templateMark(text, at) {
		l.marked = true
		l.problem(Template, text)
	}
	switch {
	case at == 0:
		l.residue = strings.Trim(text[1:], " \t")
		text = text[:1]
	case at > 0:
		l.residue = strings.TrimRight(text[at:], " \t")
		text = strings.TrimRight(text[:at], " \t")
	}
	switch text {
	case "{":
		l.depth++
	case "}":
		l.depth = max(0, l.depth-1)
	}
	out := line{Position: l.at, text: text, above: l.above, uses: l.uses}
	l.above = nil
	if l.residue == "" && len(l.pending) == 0 {
		out.trailing, l.comment = l.comment, ""
	}
	return out
}

// templateMark reports whether a brace looks like one of a template, as in {{ NAME }} and {% if %}, or of an undefined variable.
func templateMark(text string, at int) bool {
	if at > 0 && text[at-1] == '$' {
		return true
	}
	next := text[at+1:]
	return text[at] == '{' && next != "" && (next[0] == '{' || next[0] == '%')
}

// brace returns the place of the first brace outside of quotes, or −1.
func brace(text string) int {
	quoted := false
	for i := range len(text) {
		switch c := text[i]; {
		case c == '"':
			quoted = !quoted
		case !quoted && (c == '{' || c == '}'):
			return i
		}
	}
	return -1
}
