package config

import (
	"unicode/utf8"
)

// piece is a part of a file that can be parsed separately: whole lines of arguments and blocks.
type piece struct {
	start, end int // bytes
	line, col  int
	language   bool // a block that provides values for others: node, variable, locals

	// Long blocks are parsed in pieces too. open is the position after the opening bracket, 0 for others.
	open, close int
	closeLine   int
	inner       []piece
}

// span is a block at the top level of a file, from its first word to its closing bracket.
type span struct{ start, end int }

// topItem is the current argument or block at the top level.
type topItem struct {
	started  bool
	start    int
	line     int
	bol      int
	tokens   int  // before it
	header   bool // only words and labels so far
	block    bool
	split    bool // its body may be split at lines
	bodyLine bool // the current line of the body is not empty
	language bool
	long     int // tokens of long arguments and blocks within it
	inner    piece
	pieces   []piece
}

func (s *scanner) tooLarge() {
	s.overlong = true
	s.fault(0, "Too large", "The configuration has more than %d tokens, variables and locals with more than %d, or an expression with more than %d. "+
		"Use a dynamic block for what repeats, or fewer expressions.", maxTokens, maxLanguage, maxPiece)
}

func (s *scanner) pieceStart() int {
	if s.item.split {
		return max(s.cut, s.cutItem)
	}
	return s.cut
}

// cutBody splits the body of a large block after a line that ends an argument or a block.
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
	if long := s.tokens - s.cutItem; long > 2*s.wanted { // of an argument, it is kept until the whole block is decoded
		if s.item.long += long; s.item.long > maxPiece {
			s.tooLarge()
			return
		}
	}
	last.end = s.at
	s.item.pieces = append(s.item.pieces, piece{start: s.at, line: s.line, col: 1})
	s.cutItem = s.tokens
}

// endItem ends an argument or a block at the top level. Consecutive small ones become one piece.
func (s *scanner) endItem() {
	it := s.item
	s.item = topItem{}
	if it.language {
		if s.language += s.tokens - it.tokens; s.language > maxLanguage {
			s.tooLarge()
		}
	}
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
