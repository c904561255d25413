package convert

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/lvs-ha/lvs-ha/internal/keepalived"
)

// block is a block of HCL, or with an empty kind the file.
type block struct {
	kind   string
	label  string
	items  []item
	notes  notes
	single bool // written on one line if it has at most one attribute
}

// item is an attribute, a block, or neither: a comment.
type item struct {
	name  string      // of the attribute
	value string      // an expression
	list  listBuilder // what value was made of; nil: it is no list with comments
	block *block
	notes notes
}

// notes are the comments of an item.
type notes struct {
	above    []string // "" is an empty line
	trailing string
	from     origin
}

// origin is the line that became an item.
type origin struct {
	keepalived.Position
	block, word string
	uses        []string // the definitions in it
}

// place is where an item stands.
type place struct {
	up      *place // of the block that it is in; nil at the top
	in      *block
	index   int
	element int // of the item's list; wholeItem: none
}

const wholeItem = -1

func (b *block) set(name, value string, n notes) {
	b.items = append(b.items, item{name: name, value: value, notes: n})
}

// setList sets an attribute to a list. The comments of its only element are the attribute's.
func (b *block) setList(name string, list listBuilder, n notes) {
	if len(list) == 1 {
		n = joinNotes(n, list[0].notes)
		list = listBuilder{{text: list[0].text, notes: notes{from: list[0].from}}}
	}
	b.items = append(b.items, item{name: name, value: list.String(), list: list, notes: n})
}

func (b *block) add(child *block) *block {
	b.items = append(b.items, item{block: child, notes: child.notes})
	return child
}

// comment adds a comment on lines of its own.
func (b *block) comment(lines ...string) {
	for len(lines) > 0 && lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	if len(lines) == 0 {
		return
	}
	b.items = append(b.items, item{notes: notes{above: lines}})
}

// get returns the value of an attribute, or "".
func (b *block) get(name string) string {
	for _, i := range b.items {
		if i.name == name && name != "" {
			return i.value
		}
	}
	return ""
}

// quote writes a string of HCL.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	s = strings.ToValidUTF8(s, "\ufffd")
	for i, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteRune('\\')
		case r == '\n':
			b.WriteString(`\n`)
			continue
		case (r == '$' || r == '%') && strings.HasPrefix(s[min(i+1, len(s)):], "{"):
			b.WriteRune(r)
		case r < ' ' || r == 0x7f || r >= 0x80 && !unicode.IsPrint(r):
			fmt.Fprintf(&b, `\u%04x`, r)
			continue
		}
		b.WriteRune(r)
	}
	b.WriteByte('"')
	return b.String()
}

// settle puts the attributes of a block before its blocks. Of attributes with the same name, the last one stays.
func (b *block) settle() {
	var attributes, others []item
	for _, i := range b.items {
		if i.name == "" {
			others = append(others, i)
			continue
		}
		if at := slices.IndexFunc(attributes, func(a item) bool { return a.name == i.name }); at >= 0 {
			i.notes = joinNotes(attributes[at].notes, i.notes)
			attributes = slices.Delete(attributes, at, at+1)
		}
		attributes = append(attributes, i)
	}
	b.items = append(attributes, others...)
}

func quoteAll(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = quote(w)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// print returns the file in HCL's canonical layout.
func (b *block) print() []byte {
	p := &printer{}
	p.items(b)
	p.flush()
	return []byte(p.out.String())
}

// layout returns the file with each element of a list on its own line, and the place of the item in each line; nil for an empty line.
func (b *block) layout() ([]byte, []*place) {
	p := &printer{split: true}
	p.items(b)
	p.flush()
	return []byte(p.out.String()), p.places
}

// printer writes lines as "hclwrite.Format" lays them out; that package would slow down each start of the program.
type printer struct {
	out    strings.Builder
	depth  int
	run    []row // lines that are aligned with each other
	at     *place
	places []*place // of the lines in out
	split  bool     // each element of a list is on its own line
}

// row is a line: an attribute, or with an empty name another one.
type row struct {
	indent      int
	name, value string
	comment     string
	at          *place
}

func (p *printer) line(name, value, comment string) {
	r := row{p.depth, name, value, comment, p.at}
	if value == "" && name == "" && comment == "" {
		p.flush()
		if text := p.out.String(); text != "" && !strings.HasSuffix(text, "\n\n") {
			p.out.WriteByte('\n')
			p.places = append(p.places, nil)
		}
		return
	}
	p.run = append(p.run, r)
}

// flush aligns the equals signs of consecutive attributes on one line each, and the comments of consecutive lines.
func (p *printer) flush() {
	texts := make([]string, len(p.run))
	for i := 0; i < len(p.run); {
		end, widest := i, 0
		for end < len(p.run) && p.run[end].aligned() {
			widest = max(widest, width(p.run[end].name))
			end++
		}
		if end == i {
			end++
		}
		for ; i < end; i++ {
			r := p.run[i]
			texts[i] = strings.Repeat("  ", r.indent)
			if r.name != "" {
				texts[i] += r.name + strings.Repeat(" ", max(0, widest-width(r.name))) + " = "
			}
			texts[i] += r.value
		}
	}
	for i := 0; i < len(texts); {
		end, widest := i, 0
		for end < len(texts) && p.run[end].comment != "" {
			widest = max(widest, width(texts[end]))
			end++
		}
		for ; i < end; i++ {
			fmt.Fprintf(&p.out, "%s%s # %s\n", texts[i], strings.Repeat(" ", widest-width(texts[i])), printable(p.run[i].comment))
		}
		if i < len(texts) {
			p.out.WriteString(texts[i] + "\n")
			i++
		}
	}
	for _, r := range p.run {
		p.places = append(p.places, r.at)
	}
	p.run = p.run[:0]
}

func (r row) aligned() bool {
	return r.name != "" && !strings.HasSuffix(r.value, "[") && !strings.HasSuffix(r.value, "{")
}

func width(s string) int { return utf8.RuneCountInString(s) }

func (p *printer) items(b *block) {
	previous, up := "", p.at
	defer func() { p.at = up }()
	for i, it := range b.items {
		p.at = &place{up, b, i, wholeItem}
		kind := it.kind()
		if i > 0 && separate(previous, kind, b.kind == "") {
			p.line("", "", "")
		}
		previous = kind
		p.comments(it.notes.above)
		switch {
		case it.block != nil:
			p.block(it.block)
		case it.name != "":
			p.attribute(it)
		}
	}
}

// kind says which items stand together without an empty line.
func (i item) kind() string {
	switch {
	case i.block != nil && i.block.short():
		return i.block.kind
	case i.block != nil:
		return "block"
	case i.name != "":
		return "attribute"
	}
	return "comment"
}

func separate(previous, next string, top bool) bool {
	switch {
	case previous == "block" || next == "block" || top && previous != next:
		return true
	case previous == "comment" || next == "comment":
		return false
	}
	return previous == "attribute" != (next == "attribute")
}

func (p *printer) attribute(i item) {
	value := i.value
	if p.split && len(i.list) > 0 {
		value = i.list.lines()
	}
	lines, element, whole := strings.Split(value, "\n"), 0, p.at
	if len(lines) == 1 {
		p.line(i.name, i.value, i.notes.trailing)
		return
	}
	p.line(i.name, lines[0], i.notes.trailing)
	p.depth++
	for _, l := range lines[1:] {
		if strings.HasPrefix(l, "]") || strings.HasPrefix(l, "}") {
			p.depth--
		} else if p.split && len(i.list) > 0 && !strings.HasPrefix(l, "#") {
			p.at = &place{whole.up, whole.in, whole.index, element}
			element++
		}
		p.nested(l)
		p.at = whole
		if !strings.HasPrefix(l, "#") && (strings.HasSuffix(l, "[") || strings.HasSuffix(l, "{")) {
			p.depth++
		}
	}
}

// nested writes a line of an expression with several lines; it may be a comment, end with one, or be an element of an object.
func (p *printer) nested(l string) {
	if strings.HasPrefix(l, "#") {
		p.line("", l, "")
		return
	}
	text, comment, _ := strings.Cut(l, trailingMark)
	if name, value, found := strings.Cut(text, objectMark); found {
		p.line(name, value, comment)
		return
	}
	p.line("", text, comment)
}

// Marks within an expression with several lines.
const (
	trailingMark = "\x00#" // before a comment
	objectMark   = "\x00=" // between the key and the value of an object's element
)

// short reports whether a block is written on one line.
func (b *block) short() bool {
	if len(b.items) == 0 {
		return true
	}
	one := b.items[0]
	return b.single && len(b.items) == 1 && one.name != "" && len(one.notes.above) == 0 && one.notes.trailing == "" && !strings.Contains(one.value, "\n")
}

func (p *printer) block(b *block) {
	head := b.kind
	if b.label != "" {
		head += " " + quote(b.label)
	}
	switch {
	case len(b.items) == 0:
		p.line("", head+" {}", b.notes.trailing)
	case b.short():
		p.line("", fmt.Sprintf("%s { %s = %s }", head, b.items[0].name, b.items[0].value), b.notes.trailing)
	default:
		p.line("", head+" {", b.notes.trailing)
		p.depth++
		p.items(b)
		p.depth--
		p.line("", "}", "")
	}
}

// comments writes comments on lines of their own; several empty lines become one, and none is at the beginning. One at the end says
// that the comments are not about what follows.
func (p *printer) comments(lines []string) {
	for i, l := range lines {
		switch {
		case l != "":
			p.line("", "# "+printable(l), "")
		case i > 0 && lines[i-1] != "":
			p.line("", "", "")
		}
	}
}

// printable replaces control characters, which could hide text of a comment in a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '\ufffd'
		}
		return r
	}, strings.ToValidUTF8(s, "\ufffd"))
}
