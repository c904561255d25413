package config

import (
	"bytes"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// Canonical returns HCL in the canonical layout: indented, with one space between words, and with aligned equals signs and
// comments in consecutive lines. Only spaces at the beginning of lines and between words change.
//
// The result is that of hclwrite.Format, which tests compare. That package is not used itself: it links go-cmp, whose
// initialization would slow down each start of the program.
func Canonical(text []byte) []byte { return arrange(text).text() }

// layout is the lines of a text in the canonical layout.
type layout []*layoutLine

func arrange(text []byte) layout {
	tokens, _ := hclsyntax.LexConfig(text, "", hcl.InitialPos)
	lines := linesOf(tokens)
	lines.indent()
	lines.align(func(l *layoutLine) (cell int, ok bool) { return l.assign, l.assign < l.comment })
	lines.align(func(l *layoutLine) (cell int, ok bool) { return l.comment, l.comment < len(l.tokens) })
	return lines
}

// size returns the length of the text, which may be far more than before: one long line puts the comments of all after it
// into its column.
func (lines layout) size() int {
	sum := 1
	for _, l := range lines {
		for i, token := range l.tokens {
			sum += l.spaces[i] + len(token.Bytes)
		}
	}
	return sum
}

func (lines layout) text() []byte {
	out := make([]byte, 0, lines.size())
	for _, l := range lines {
		for i, token := range l.tokens {
			for range l.spaces[i] {
				out = append(out, ' ')
			}
			out = append(out, token.Bytes...)
		}
	}
	if len(out) > 0 && out[len(out)-1] != '\n' {
		out = append(out, '\n')
	}
	return out
}

// layoutLine is the tokens up to the end of a line that is not within a string: a heredoc is part of one line.
type layoutLine struct {
	tokens  hclsyntax.Tokens
	spaces  []int // before each token
	assign  int   // the equals sign of an argument that ends on the line, or comment if there is none
	comment int   // the comment after other tokens, or len(tokens) if there is none
}

// linesOf divides tokens into lines, with the spaces within each.
func linesOf(tokens hclsyntax.Tokens) layout {
	var lines layout
	begin := 0
	for i, token := range tokens {
		end := i
		switch {
		case token.Type == hclsyntax.TokenEOF:
		case token.Type == hclsyntax.TokenNewline, token.Type == hclsyntax.TokenComment && bytes.HasSuffix(token.Bytes, []byte("\n")):
			end++
		default:
			continue
		}
		if begin < end {
			lines = append(lines, newLayoutLine(tokens[begin:end]))
		}
		begin = i + 1
	}
	return lines
}

func newLayoutLine(tokens hclsyntax.Tokens) *layoutLine {
	l := &layoutLine{tokens: tokens, spaces: make([]int, len(tokens)), comment: len(tokens)}
	if last := len(tokens) - 1; last > 0 && tokens[last].Type == hclsyntax.TokenComment {
		l.comment = last
	}
	l.assign = l.comment
	for i, token := range tokens[:l.comment] {
		if i > 0 && token.Type == hclsyntax.TokenEqual {
			if openedBy(tokens[i:l.comment]) == 0 {
				l.assign = i
			}
			break
		}
	}
	for i := 1; i < l.comment; i++ {
		var before hclsyntax.TokenType
		if i > 1 && i-1 != l.assign {
			before = tokens[i-2].Type
		}
		if i != l.assign && spaced(before, tokens[i-1], tokens[i]) {
			l.spaces[i] = 1
		}
	}
	return l
}

// indent sets the spaces at the beginning of lines. A line that opens several brackets indents the following ones once.
func (lines layout) indent() {
	var opened []int // by each line that indents those after it
	for _, l := range lines {
		if l.tokens[0].Type == hclsyntax.TokenNewline {
			continue
		}
		before := l.tokens[:l.comment]
		if i := slices.IndexFunc(before[:l.assign], func(t hclsyntax.Token) bool { return t.Type == hclsyntax.TokenOHeredoc }); i >= 0 {
			before = slices.Concat(before[:i], before[l.assign:])
		}
		change := openedBy(before)
		for closed := -change; closed > 0 && len(opened) > 0; {
			last := len(opened) - 1
			most := min(closed, opened[last])
			closed -= most
			if opened[last] -= most; opened[last] == 0 {
				opened = opened[:last]
			}
		}
		l.spaces[0] = 2 * len(opened)
		if change > 0 {
			opened = append(opened, change)
		}
	}
}

// align puts a token of consecutive lines into the same column, one space after the longest text before it.
func (lines layout) align(of func(*layoutLine) (cell int, ok bool)) {
	for len(lines) > 0 {
		run, widest := 0, 0
		for _, l := range lines {
			cell, ok := of(l)
			if !ok {
				break
			}
			run++
			widest = max(widest, l.width(cell))
		}
		for _, l := range lines[:run] {
			cell, _ := of(l)
			l.spaces[cell] = widest - l.width(cell) + 1
		}
		lines = lines[max(run, 1):]
	}
}

// width returns the number of columns before a token.
func (l *layoutLine) width(cell int) int {
	columns := 0
	for i, token := range l.tokens[:cell] {
		if token.Range.Start.Line != token.Range.End.Line {
			columns = token.Range.End.Column - 1
			continue
		}
		columns += l.spaces[i] + token.Range.End.Column - token.Range.Start.Column
	}
	return columns
}

// openedBy returns how many more brackets tokens open than they close.
func openedBy(tokens hclsyntax.Tokens) int {
	sum := 0
	for _, token := range tokens {
		switch {
		case isOpening(token.Type):
			sum++
		case isClosing(token.Type):
			sum--
		}
	}
	return sum
}

func isOpening(t hclsyntax.TokenType) bool {
	switch t {
	case hclsyntax.TokenOBrace, hclsyntax.TokenOBrack, hclsyntax.TokenOParen, hclsyntax.TokenTemplateInterp, hclsyntax.TokenTemplateControl:
		return true
	}
	return false
}

func isClosing(t hclsyntax.TokenType) bool {
	switch t {
	case hclsyntax.TokenCBrace, hclsyntax.TokenCBrack, hclsyntax.TokenCParen, hclsyntax.TokenTemplateSeqEnd:
		return true
	}
	return false
}

// spaced reports whether there is a space between two tokens of a line. before is the type of the token before them, or 0.
func spaced(before hclsyntax.TokenType, left, right hclsyntax.Token) bool {
	switch l, r := left.Type, right.Type; {
	case r == hclsyntax.TokenNewline,
		l == hclsyntax.TokenIdent && (r == hclsyntax.TokenOParen || r == hclsyntax.TokenDoubleColon),
		l == hclsyntax.TokenDoubleColon && r == hclsyntax.TokenIdent,
		l == hclsyntax.TokenDot, r == hclsyntax.TokenDot, r == hclsyntax.TokenComma, r == hclsyntax.TokenEllipsis:
		return false
	case l == hclsyntax.TokenComma:
		return true
	case isStringText(l), l == hclsyntax.TokenOQuote, l == hclsyntax.TokenOHeredoc, isStringText(r), r == hclsyntax.TokenCQuote, r == hclsyntax.TokenCHeredoc:
		return false // a space would be part of the string
	case l == hclsyntax.TokenIdent && string(left.Bytes) == "in" && before == hclsyntax.TokenIdent:
		return true // the word of a for expression, not the name of a list before its index
	case r == hclsyntax.TokenOBrack && (l == hclsyntax.TokenIdent || l == hclsyntax.TokenNumberLit || isClosing(l)), l == hclsyntax.TokenBang:
		return false
	case l == hclsyntax.TokenMinus:
		return !beginsOperand(before)
	case l == hclsyntax.TokenOBrace, r == hclsyntax.TokenCBrace:
		return l != hclsyntax.TokenOBrace || r != hclsyntax.TokenCBrace
	case r == hclsyntax.TokenOBrace && (l == hclsyntax.TokenTemplateInterp || l == hclsyntax.TokenTemplateControl),
		l == hclsyntax.TokenCBrace && r == hclsyntax.TokenTemplateSeqEnd:
		return true
	case l == hclsyntax.TokenTemplateSeqEnd && (r == hclsyntax.TokenTemplateInterp || r == hclsyntax.TokenTemplateControl):
		return false
	default:
		return !isOpening(l) && !isClosing(r)
	}
}

func isStringText(t hclsyntax.TokenType) bool {
	return t == hclsyntax.TokenQuotedLit || t == hclsyntax.TokenStringLit
}

// beginsOperand reports whether a minus sign after this token is a sign rather than an operator.
func beginsOperand(before hclsyntax.TokenType) bool {
	switch before {
	case 0, hclsyntax.TokenOParen, hclsyntax.TokenOBrace, hclsyntax.TokenOBrack, hclsyntax.TokenEqual, hclsyntax.TokenColon, hclsyntax.TokenComma, hclsyntax.TokenQuestion,
		hclsyntax.TokenPlus, hclsyntax.TokenStar, hclsyntax.TokenSlash, hclsyntax.TokenPercent, hclsyntax.TokenMinus,
		hclsyntax.TokenEqualOp, hclsyntax.TokenNotEqual, hclsyntax.TokenGreaterThan, hclsyntax.TokenGreaterThanEq, hclsyntax.TokenLessThan, hclsyntax.TokenLessThanEq,
		hclsyntax.TokenAnd, hclsyntax.TokenOr, hclsyntax.TokenBang:
		return true
	}
	return false
}
