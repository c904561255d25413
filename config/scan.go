package config

import (
	"bytes"
	"fmt"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
)

// HCL's parser recurses for each bracket and operator, and a Go program whose stack is exhausted is terminated
// (measured: 100,000 opening brackets suffice). It also stores 100 bytes for every token before it parses the first.
// These limits far exceed realistic configurations.
const (
	maxDepth     = 100       // of nested brackets
	maxOperators = 1_000     // in one expression
	maxDigits    = 40        // of a number, which must have no exponent: 1e999999999 would be expanded to all its digits
	maxTokens    = 1_200_000 // in all files; 40,000 real servers with a check each have 640,000 to 1,000,000
	maxPiece     = 250_000   // tokens parsed at once, or kept of one block: an expression, or a block on a few lines
	maxLanguage  = 300_000   // of variables and local values, which are kept in memory
	maxJoined    = 1 << 30   // bytes copied to join the lines of a text: one of 8,000 lines of 30 bytes
	maxFaults    = 20        // syntax errors in one file
)

// wantedPiece is the number of tokens parsed at once, if the file can be split there.
var wantedPiece = 4_000

// scanner reads a file before HCL's parser: it is fast, does not allocate per token, rejects input that would harm the
// parser, and finds positions where the file can be split. It follows hclsyntax/scan_tokens.rl; a fuzz test compares
// them.
type scanner struct {
	text     []byte
	name     string
	at       int
	line     int
	bol      int // start of the current line
	tokens   int
	wanted   int // tokens of a piece
	language int // tokens of variables and local values
	stack    []opened
	faults   hcl.Diagnostics

	joinedBytes int // see countJoin
	operators   int // of the current expression, including enclosing ones

	item     topItem // at the top level
	pieces   []piece
	blocks   []span
	cut      int // tokens at the last cut
	cutItem  int // tokens at the last cut within a block
	overlong bool
}

// opened is an open bracket, quote or template.
type opened struct {
	kind   byte // one of ( [ { " $ <
	at     int
	line   int
	bol    int
	marker []byte // of a heredoc
	base   int    // operators around it; for a text, including its directives so far
	stray  int    // line within this one where a top-level block seems to begin
}

// scan reads a file and splits it into pieces of some thousand tokens.
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

// inside returns the kind of the innermost open element, 0 at the top level.
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

// token counts a token and advances by its length.
func (s *scanner) token(length int) {
	s.tokens++
	if !s.item.started && len(s.stack) == 0 {
		s.item = topItem{started: true, start: s.at, line: s.line, bol: s.bol, tokens: s.tokens, header: true}
	}
	s.item.bodyLine = true
	if len(s.stack) == 0 && s.item.inner.close > 0 {
		s.item.split = false // text follows the closing bracket
	}
	s.at += length
	if s.tokens > maxTokens || s.tokens-s.pieceStart() > maxPiece {
		s.at -= length
		s.tooLarge()
	}
}

func (s *scanner) push(kind byte, length int) {
	s.token(length)
	s.stack = append(s.stack, opened{kind: kind, at: s.at - length, line: s.line, bol: s.bol, base: s.operators})
	if len(s.stack) > maxDepth {
		s.at -= length
		s.overlong = true
		s.fault(1, "Too deep", "Brackets, quotes or blocks are nested more than %d deep here.", maxDepth)
	}
}

func (s *scanner) pop(length int) {
	s.token(length)
	s.operators = s.base()
	s.stack = s.stack[:len(s.stack)-1]
}

// base returns the number of operators around the innermost bracket, where a list element starts.
func (s *scanner) base() int {
	if len(s.stack) == 0 {
		return 0
	}
	return s.stack[len(s.stack)-1].base
}

// deeper counts the recursion depth of HCL's parser and evaluation.
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
		s.closeBracket(c)
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

// open handles an opening bracket.
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

// closeBracket handles a closing bracket.
func (s *scanner) closeBracket(c byte) {
	opens := map[byte]byte{')': '(', ']': '[', '}': '{'}[c]
	top := s.inside()
	switch {
	case top == opens, c == '}' && top == '$':
		s.close(c)
	case top == 0:
		s.fault(1, "Unmatched closing bracket", "This %c closes nothing. Remove it, or look above for a bracket that is closed too early.", c)
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
			s.item.split = false // the last line of the body contains the bracket
		}
		s.blocks = append(s.blocks, span{s.item.start, s.at + 1})
		s.item.inner.close, s.item.inner.closeLine = s.at, s.line
		s.item.block = false
	}
	s.pop(1)
}

// newline handles the end of a line, which ends an argument or a block at the top level and in a block's body.
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

// finish reports elements that are still open at the end of the file.
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
			s.faults = append(s.faults, problem(s.rangeAt(top.at, top.line, top.bol, 2), "Unclosed heredoc",
				"This heredoc has no end. Write %s on a line of its own after it.", top.marker))
			return
		}
		remedy := fmt.Sprintf("Write %c where it ends.", map[byte]byte{'(': ')', '[': ']', '{': '}', '$': '}'}[s.stack[len(s.stack)-1].kind])
		if o.stray > 0 {
			remedy = fmt.Sprintf("Write } before line %d, where the next block begins.", o.stray)
		} else {
			o = s.stack[len(s.stack)-1]
		}
		s.faults = append(s.faults, problem(s.rangeAt(o.at, o.line, o.bol, 1), "Unclosed bracket",
			"This bracket is never closed. %s", remedy))
		return
	}
	if s.item.started {
		s.endItem()
	}
}
