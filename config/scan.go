package config

import (
	"bytes"
	"fmt"
	"regexp"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
)

// HCL's parser recurses once a bracket and once an operator, and a Go program whose stack is exhausted ends at once
// (measured: 100,000 opening brackets do it). It keeps 100 bytes for every token before it looks at the first. These
// limits are far beyond what people write.
const (
	maxDepth     = 100       // of brackets within brackets
	maxOperators = 1_000     // in one expression
	maxDigits    = 40        // of a number, which must have no exponent: 1e999999999 would be written out with all its digits
	maxTokens    = 1_500_000 // in all files; 40,000 real servers with a check each have 1,000,000
	maxPiece     = 500_000   // tokens that are parsed at once: an expression, or a block on a few lines
	maxFaults    = 20        // of syntax in one file
	wantedPiece  = 4_000     // tokens
)

// piece is a part of a file that can be parsed by itself: whole lines of arguments and blocks.
type piece struct {
	start, end int // bytes
	line, col  int
	language   bool // a block that others are evaluated with: node, variable, locals

	// A block of many lines is parsed in pieces too. open is the place after its opening bracket, 0 for others.
	open, close int
	closeLine   int
	inner       []piece
}

// span is a block at the top level of a file, from its first word to its closing bracket.
type span struct{ start, end int }

// scanner reads a file before HCL's parser does: it is fast, allocates nothing for a token, finds what the parser must
// not be given, and says where the file can be cut. It follows hclsyntax/scan_tokens.rl; a fuzz test compares them.
type scanner struct {
	text   []byte
	name   string
	at     int
	line   int
	bol    int // byte where the line begins
	tokens int
	wanted int // tokens of a piece
	stack  []opened
	faults hcl.Diagnostics

	operators int // of the expression so far, with those around it

	item     topItem // at the top level
	pieces   []piece
	blocks   []span
	cut      int // tokens at the last cut
	cutItem  int // tokens at the last cut within a block
	overlong bool
}

// topItem is the argument or block at the top level that is being read.
type topItem struct {
	started  bool
	start    int
	line     int
	bol      int
	tokens   int  // before it
	header   bool // only words and labels so far
	block    bool
	split    bool // its body may be cut into lines
	bodyLine bool // the line of the body has something on it
	language bool
	inner    piece
	pieces   []piece
}

// opened is a bracket, a quote or a template that is open.
type opened struct {
	kind   byte // one of ( [ { " $ <
	at     int
	line   int
	bol    int
	marker []byte // of a heredoc
	base   int    // operators around it; of a text, with its directives so far
	stray  int    // line where a block of the top level seems to begin within this one
}

// scan reads a file and cuts it into pieces of some thousand tokens.
func scan(text []byte, name string) *scanner { return scanPieces(text, name, wantedPiece) }

func scanPieces(text []byte, name string, wanted int) *scanner {
	s := &scanner{text: text, name: name, line: 1, wanted: wanted}
	if bytes.HasPrefix(text, []byte("\xef\xbb\xbf")) {
		s.at, s.bol = 3, 3
	}
	for s.at < len(s.text) && len(s.faults) < maxFaults && !s.overlong {
		switch s.inside() {
		case '"':
			s.quoted()
		case '<':
			s.heredoc()
		default:
			s.plain()
		}
	}
	s.finish()
	return s
}

// inside is what the innermost open thing is, 0 at the top level.
func (s *scanner) inside() byte {
	if len(s.stack) == 0 {
		return 0
	}
	return s.stack[len(s.stack)-1].kind
}

func (s *scanner) here(length int) hcl.Range { return s.rangeAt(s.at, s.line, s.bol, length) }

func (s *scanner) rangeAt(at, line, bol, length int) hcl.Range {
	column := 1 + utf8.RuneCount(s.text[bol:at])
	return hcl.Range{
		Filename: s.name,
		Start:    hcl.Pos{Line: line, Column: column, Byte: at}, End: hcl.Pos{Line: line, Column: column + length, Byte: at + length},
	}
}

func (s *scanner) fault(length int, summary, detail string, args ...any) {
	s.faults = append(s.faults, problem(s.here(length), summary, detail, args...))
}

// token counts a token of some bytes and goes past it.
func (s *scanner) token(length int) {
	s.tokens++
	if !s.item.started && len(s.stack) == 0 {
		s.item = topItem{started: true, start: s.at, line: s.line, bol: s.bol, tokens: s.tokens, header: true}
	}
	s.item.bodyLine = true
	if len(s.stack) == 0 && s.item.inner.close > 0 {
		s.item.split = false // something follows the closing bracket
	}
	s.at += length
	if s.tokens > maxTokens || s.tokens-s.pieceStart() > maxPiece {
		s.at -= length
		s.tooLarge()
	}
}

func (s *scanner) tooLarge() {
	s.overlong = true
	s.fault(0, "Too large", "The configuration has more than %d words and signs, or an expression of more than %d. "+
		"Write what repeats as a dynamic block, or split the expression.", maxTokens, maxPiece)
}

func (s *scanner) pieceStart() int {
	if s.item.split {
		return max(s.cut, s.cutItem)
	}
	return s.cut
}

func (s *scanner) push(kind byte, length int) {
	s.token(length)
	s.stack = append(s.stack, opened{kind: kind, at: s.at - length, line: s.line, bol: s.bol, base: s.operators})
	if len(s.stack) > maxDepth {
		s.at -= length
		s.overlong = true
		s.fault(1, "Too deep", "There are more than %d brackets, quotes or blocks within each other here.", maxDepth)
	}
}

func (s *scanner) pop(length int) {
	s.token(length)
	s.operators = s.base()
	s.stack = s.stack[:len(s.stack)-1]
}

// base is the number of operators around the innermost bracket: an element of a list begins with it.
func (s *scanner) base() int {
	if len(s.stack) == 0 {
		return 0
	}
	return s.stack[len(s.stack)-1].base
}

// deeper counts what HCL's parser or its evaluation recurses for.
func (s *scanner) deeper() {
	if s.operators++; s.operators > maxOperators && !s.overlong {
		s.overlong = true
		s.fault(1, "Expression too long", "There are more than %d operators in this expression. Split it into several local values.", maxOperators)
	}
}

// plain reads one token outside quotes.
func (s *scanner) plain() {
	c := s.text[s.at]
	rest := s.text[s.at:]
	if s.item.header && len(s.stack) == 0 && !isHeader(c) {
		s.item.header = false
	}
	switch {
	case c == ' ' || c == '\t':
		s.at++
	case c == '\n':
		s.newline(1)
	case c == '\r' && len(rest) > 1 && rest[1] == '\n':
		s.newline(2)
	case c == '#', c == '/' && len(rest) > 1 && rest[1] == '/':
		s.comment()
	case c == '/' && len(rest) > 1 && rest[1] == '*':
		s.longComment()
	case c == '"':
		s.push('"', 1)
	case c == '(' || c == '[' || c == '{':
		s.open(c)
	case c == ')' || c == ']' || c == '}':
		s.shut(c)
	case c == '~' && len(rest) > 1 && rest[1] == '}' && s.inside() == '$':
		s.pop(2)
	case '0' <= c && c <= '9':
		s.number()
	case isWord(c):
		s.word()
	case c == '<' && heredocStart.Match(rest[:min(len(rest), 200)]):
		s.startHeredoc()
	case c == ',':
		s.token(1)
		s.operators = s.base()
	case c == '=' && (len(rest) == 1 || rest[1] != '='):
		s.token(1)
	default:
		s.sign(c, rest)
	}
}

// isHeader reports whether a byte may stand in the header of a block, before its bracket.
func isHeader(c byte) bool {
	return c == ' ' || c == '\t' || c == '"' || c == '{' || isWord(c) || c == '-' || '0' <= c && c <= '9'
}

func isWord(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' || c >= utf8.RuneSelf
}

// sign reads an operator, or what is none.
func (s *scanner) sign(c byte, rest []byte) {
	switch c {
	case '\'':
		s.fault(1, "Single quote", `Text is written in double quotes, as "text".`)
		s.skipSingleQuoted()
	case ';':
		s.fault(1, "Semicolon", "A line ends an argument. Remove the semicolon, and write each argument on a line of its own.")
		s.token(1)
	case '`', '@', '\\', '$', '\r':
		s.invalid(1)
	default:
		if c < ' ' || c == 0x7f {
			s.invalid(1)
			return
		}
		s.deeper()
		s.token(1)
	}
}

// skipSingleQuoted goes past a text in single quotes, so that it makes one fault.
func (s *scanner) skipSingleQuoted() {
	end := s.at + 1
	for end < len(s.text) && s.text[end] != '\n' && s.text[end] != '\'' {
		end++
	}
	if end < len(s.text) && s.text[end] == '\'' {
		s.token(end + 1 - s.at)
		return
	}
	s.token(1)
}

// invalid refuses a character; those that follow it are not reported one by one.
func (s *scanner) invalid(length int) {
	s.fault(length, "Invalid character", "%q has no meaning here. Remove it, or put the text in double quotes.", s.text[s.at:s.at+length])
	for s.at < len(s.text) && s.text[s.at] != '\n' {
		s.at++
	}
	s.tokens++
}

// word reads an identifier. Letters of all alphabets are taken here; HCL's parser is more exact.
func (s *scanner) word() {
	end := s.at
	for end < len(s.text) {
		c := s.text[end]
		if c < utf8.RuneSelf {
			if !isWord(c) && c != '-' && (c < '0' || c > '9') {
				break
			}
			end++
			continue
		}
		r, size := utf8.DecodeRune(s.text[end:])
		if r == utf8.RuneError && size < 2 || unicode.IsSpace(r) || r == '“' || r == '”' || r == '‘' || r == '’' {
			break
		}
		end += size
	}
	if end == s.at {
		s.strange()
		return
	}
	word := s.text[s.at:end]
	top := len(s.stack)
	if top > 0 && s.at == s.bol && s.stack[top-1].kind == '{' && s.stack[0].stray == 0 && isTopLevel(word) {
		s.stack[0].stray = s.line
	}
	first := !s.item.started && top == 0
	s.token(end - s.at)
	if first {
		switch string(word) {
		case "node", "variable", "locals":
			s.item.language = true
		}
	}
}

// strange refuses a character that is no letter.
func (s *scanner) strange() {
	r, size := utf8.DecodeRune(s.text[s.at:])
	switch {
	case r == utf8.RuneError && size < 2:
		s.fault(1, "Not UTF-8", "The byte %#02x is no UTF-8. Save the file as UTF-8.", s.text[s.at])
		s.overlong = true
	case unicode.IsSpace(r):
		s.fault(size, "Invalid space", "This is a special space (%U), as word processors make them. Write a plain one.", r)
		s.token(size)
	default:
		s.fault(size, "Typographic quote", "%c is no quote here. Write plain double quotes: \"text\".", r)
		s.token(size)
	}
}

// number reads a number, and refuses those that would be written out with very many digits.
func (s *scanner) number() {
	end := s.at
	exponent := false
	for end < len(s.text) {
		c := s.text[end]
		switch {
		case '0' <= c && c <= '9':
			end++
			continue
		case c == '.':
			if next := end + 1; next < len(s.text) && (s.text[next] == '.' || '0' <= s.text[next] && s.text[next] <= '9') {
				end++
				continue
			}
		case c == 'e' || c == 'E':
			next := end + 1
			if next < len(s.text) && (s.text[next] == '+' || s.text[next] == '-') {
				next++
			}
			if next < len(s.text) && '0' <= s.text[next] && s.text[next] <= '9' {
				exponent = true
				end = next
				continue
			}
		}
		break
	}
	if end-s.at > maxDigits || exponent {
		s.fault(end-s.at, "Invalid number", "Write numbers with at most %d digits and without an exponent.", maxDigits)
	}
	s.token(end - s.at)
}

func (s *scanner) comment() {
	end := bytes.IndexByte(s.text[s.at:], '\n')
	if end < 0 {
		s.at = len(s.text)
		return
	}
	s.tokens++
	s.at += end
	s.newline(1)
}

func (s *scanner) longComment() {
	length := bytes.Index(s.text[s.at+2:], []byte("*/"))
	if length < 0 {
		s.fault(2, "Unclosed comment", "This comment has no end. Write */ where it ends, or # at the start of each line.")
		s.at = len(s.text)
		return
	}
	length += 4
	s.tokens++
	s.lines(s.at, s.at+length)
	s.at += length
}

// lines counts the lines between two places.
func (s *scanner) lines(from, to int) {
	if n := bytes.Count(s.text[from:to], []byte{'\n'}); n > 0 {
		s.line += n
		s.bol = from + bytes.LastIndexByte(s.text[from:to], '\n') + 1
	}
}

// open reads an opening bracket.
func (s *scanner) open(c byte) {
	if c == '{' && len(s.stack) == 0 && s.item.header && s.item.started {
		s.item.block = true
		rest := s.text[s.at+1:]
		for len(rest) > 0 && (rest[0] == ' ' || rest[0] == '\t' || rest[0] == '\r') {
			rest = rest[1:]
		}
		s.item.split = len(rest) > 0 && (rest[0] == '\n' || rest[0] == '#')
		s.push(c, 1)
		s.cutItem = s.tokens
		s.item.inner = piece{}
		return
	}
	s.deeper()
	s.push(c, 1)
}

// shut reads a closing bracket.
func (s *scanner) shut(c byte) {
	opens := map[byte]byte{')': '(', ']': '[', '}': '{'}[c]
	top := s.inside()
	switch {
	case top == opens, c == '}' && top == '$':
		s.close(c)
	case top == 0:
		s.fault(1, "Bracket without a beginning", "This %c closes nothing. Remove it, or look for a bracket that was closed too early above.", c)
		s.token(1)
	default:
		o := s.stack[len(s.stack)-1]
		begun := o.kind
		s.fault(1, "Wrong bracket", "This %c does not close the %c of line %d.", c, begun, o.line)
		s.pop(1)
	}
}

func (s *scanner) close(c byte) {
	if len(s.stack) == 1 && s.item.block && c == '}' {
		if s.item.bodyLine {
			s.item.split = false // the last line of the body is that of the bracket
		}
		s.blocks = append(s.blocks, span{s.item.start, s.at + 1})
		s.item.inner.close, s.item.inner.closeLine = s.at, s.line
		s.item.block = false
	}
	s.pop(1)
}

// newline ends a line: at the top level, and in the body of a block, it ends an argument or a block.
func (s *scanner) newline(length int) {
	s.tokens++
	s.at += length
	s.line++
	s.bol = s.at
	top := s.inside()
	if top == 0 || top == '{' {
		s.operators = s.base()
	}
	switch {
	case top == 0 && s.item.started:
		s.endItem()
	case len(s.stack) == 1 && s.item.block && s.item.split:
		s.cutBody()
	}
	s.item.bodyLine = false
}

// cutBody cuts the body of a large block after a line that ends an argument or a block of it.
func (s *scanner) cutBody() {
	p := &s.item.inner
	if p.open == 0 {
		p.open = s.at
		s.item.pieces = append(s.item.pieces[:0], piece{start: s.at, line: s.line, col: 1})
		return
	}
	if s.tokens-s.cutItem < s.wanted {
		return
	}
	last := &s.item.pieces[len(s.item.pieces)-1]
	last.end = s.at
	s.item.pieces = append(s.item.pieces, piece{start: s.at, line: s.line, col: 1})
	s.cutItem = s.tokens
}

// endItem ends an argument or a block at the top level. Small ones that follow each other become one piece.
func (s *scanner) endItem() {
	it := s.item
	s.item = topItem{}
	if it.split && it.inner.close > 0 && s.tokens-it.tokens > 2*s.wanted {
		p := piece{
			start: it.start, end: s.at, line: it.line, col: s.column(it), language: it.language,
			open: it.inner.open, close: it.inner.close, closeLine: it.inner.closeLine,
		}
		p.inner = append(p.inner, it.pieces...)
		p.inner[len(p.inner)-1].end = it.inner.close
		s.pieces = append(s.pieces, p)
		s.cut = s.tokens
		return
	}
	if n := len(s.pieces); n > 0 {
		last := &s.pieces[n-1]
		if last.open == 0 && last.language == it.language && s.tokens-s.cut < s.wanted {
			last.end = s.at
			return
		}
	}
	s.pieces = append(s.pieces, piece{start: it.start, end: s.at, line: it.line, col: s.column(it), language: it.language})
	s.cut = it.tokens
}

func (s *scanner) column(it topItem) int { return 1 + utf8.RuneCount(s.text[it.bol:it.start]) }

// quoted reads within a text in quotes.
func (s *scanner) quoted() {
	begin := s.at
	for s.at < len(s.text) {
		c := s.text[s.at]
		rest := s.text[s.at:]
		switch {
		case c == '"':
			s.tokens++
			s.pop(1)
			return
		case c == '\n':
			o := s.stack[len(s.stack)-1]
			s.unclosedQuote(o)
			s.stack = s.stack[:len(s.stack)-1]
			return
		case c == '\\':
			s.escape(rest)
		case (c == '$' || c == '%') && len(rest) > 2 && rest[1] == c && rest[2] == '{':
			s.tokens++
			s.at += 3
		case (c == '$' || c == '%') && len(rest) > 1 && rest[1] == '{':
			s.tokens++
			s.template(rest)
			return
		case c == '$' || c == '%':
			s.tokens++
			s.at++
		case c >= utf8.RuneSelf:
			_, size := utf8.DecodeRune(rest)
			if size < 2 {
				s.strange()
				return
			}
			s.at += size
		default:
			s.at++
		}
		if s.at-begin > 1<<16 { // HCL takes long texts as one token, but their cost is that of their bytes
			s.tokens++
			begin = s.at
		}
	}
}

// template begins an interpolation or a directive.
func (s *scanner) template(rest []byte) {
	length := 2
	if len(rest) > 2 && rest[2] == '~' {
		length = 3
	}
	if rest[0] == '%' { // directives of a text are within each other
		s.deeper()
	}
	s.push('$', length)
}

// escape reads a backslash in a text and what follows it.
func (s *scanner) escape(rest []byte) {
	s.tokens++
	if len(rest) < 2 {
		s.at++
		return
	}
	digits := 0
	switch rest[1] {
	case 'n', 'r', 't', '"', '\\':
		s.at += 2
		return
	case 'u':
		digits = 4
	case 'U':
		digits = 8
	case '\n':
		s.at++
		return
	}
	for i := range digits {
		if 2+i >= len(rest) || !isHex(rest[2+i]) {
			s.fault(2, "Invalid escape", "\\%c is followed by %d hexadecimal digits, as in \\u00e9.", rest[1], digits)
			s.at += 2
			return
		}
	}
	if digits == 0 {
		r, size := utf8.DecodeRune(rest[1:])
		s.fault(1+size, "Invalid escape", "\\%c means nothing in a text. Write \\\\%c for a backslash.", r, r)
		s.at += 1 + size
		return
	}
	s.at += 2 + digits
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

// unclosedQuote is the one message for a text that is not closed on its line.
func (s *scanner) unclosedQuote(o opened) {
	end := o.at + 1
	for end < len(s.text) && s.text[end] != '\n' && s.text[end] != '\r' {
		end++
	}
	s.faults = append(s.faults, problem(s.rangeAt(o.at, o.line, o.bol, end-o.at), "Unclosed quote",
		"This text has no closing quote on its line. Write %s.", cut(string(s.text[o.at:end])+`"`, maxValue)))
}

// heredoc reads within a text of several lines.
func (s *scanner) heredoc() {
	o := &s.stack[len(s.stack)-1]
	for s.at < len(s.text) {
		rest := s.text[s.at:]
		end := bytes.IndexByte(rest, '\n')
		if s.at == s.bol && end >= 0 && bytes.Equal(bytes.TrimSpace(rest[:end]), o.marker) {
			s.tokens++
			s.at += end
			if end > 0 && rest[end-1] == '\r' {
				s.at--
			}
			s.stack = s.stack[:len(s.stack)-1]
			return
		}
		if end < 0 {
			end = len(rest) - 1
		}
		s.tokens += 1 + end>>16
		for i := 0; i <= end; i++ {
			c := rest[i]
			if c != '$' && c != '%' {
				continue
			}
			s.tokens++
			if i+2 < len(rest) && rest[i+1] == c && rest[i+2] == '{' {
				i += 2
				continue
			}
			if i+1 < len(rest) && rest[i+1] == '{' {
				s.at += i
				s.template(rest[i:])
				return
			}
		}
		s.at += end + 1
		if rest[end] == '\n' {
			s.line++
			s.bol = s.at
		}
	}
}

// finish looks at what is open at the end of the file.
func (s *scanner) finish() {
	if len(s.faults) > 0 {
		return
	}
	if len(s.stack) > 0 {
		o := s.stack[0]
		switch top := s.stack[len(s.stack)-1]; top.kind {
		case '"':
			s.unclosedQuote(top)
			return
		case '<':
			s.faults = append(s.faults, problem(s.rangeAt(top.at, top.line, top.bol, 2), "Unclosed text",
				"This text of several lines has no end. Write %s on a line of its own after it.", top.marker))
			return
		}
		mend := fmt.Sprintf("Write %c where it ends.", map[byte]byte{'(': ')', '[': ']', '{': '}', '$': '}'}[s.stack[len(s.stack)-1].kind])
		if o.stray > 0 {
			mend = fmt.Sprintf("Write } before line %d, where the next block begins.", o.stray)
		} else {
			o = s.stack[len(s.stack)-1]
		}
		s.faults = append(s.faults, problem(s.rangeAt(o.at, o.line, o.bol, 1), "Unclosed bracket",
			"This bracket is never closed. %s", mend))
		return
	}
	if s.item.started {
		s.endItem()
	}
}

// isTopLevel reports whether a word begins a block that stands in no other.
func isTopLevel(word []byte) bool {
	switch string(word) {
	case "director", "locals", "node", "sysctl", "timeouts", "variable", "virtual_service", "vrrp":
		return true
	}
	return false
}

// heredocStart begins a text of several lines.
var heredocStart = regexp.MustCompile(`^<<-?[\pL_][\pL\pN\pM_-]*\r?\n`)

// startHeredoc begins a text of several lines, whose first line follows.
func (s *scanner) startHeredoc() {
	end := bytes.IndexByte(s.text[s.at:], '\n')
	marker := bytes.TrimPrefix(s.text[s.at+2:s.at+end], []byte("-"))
	s.push('<', end+1)
	s.stack[len(s.stack)-1].marker = bytes.TrimSuffix(marker, []byte("\r"))
	s.line++
	s.bol = s.at
}
