package healthcheck

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"regexp"
	"regexp/syntax"
	"slices"
	"sync/atomic"
	"time"
	"unicode/utf8"
)

// bodyMatch finds a regular expression in a body while it is read. It keeps no more of the body than a buffer.
type bodyMatch struct {
	literal    []byte         // the expression, if it is plain text
	expression *regexp.Regexp // else
	stride     int            // runes between two looks at the clock
	memory     int64          // bytes of a match in flight, of a large expression
}

// Limits of all matches of this process together. Checks that match plain text, or little, do not notice them.
const (
	allowance   = 500 * time.Microsecond // of work, which each match does at once
	workSlice   = time.Millisecond       // of work beyond it, with each turn
	maxMatching = 32 << 20               // bytes that matches of large expressions may take
)

// matchMemory is what the matches of large expressions take now, in bytes.
var matchMemory atomic.Int64

var errMatchMemory = shortage("too many large regular expressions are being matched at a time; write simpler ones")

func newBodyMatch(expression string) (*bodyMatch, error) {
	parsed, err := syntax.Parse(expression, syntax.Perl)
	if err != nil {
		return nil, err
	}
	// Bytes that are not UTF-8 read as U+FFFD in a match.
	if parsed.Op == syntax.OpLiteral && parsed.Flags&syntax.FoldCase == 0 && !slices.Contains(parsed.Rune, utf8.RuneError) {
		return &bodyMatch{literal: []byte(string(parsed.Rune))}, nil
	}
	compiled, err := regexp.Compile(expression)
	if err != nil {
		return nil, err
	}
	size := programSize(parsed)
	m := &bodyMatch{expression: compiled, stride: max(1, 4096/size)}
	// As package regexp allocates it: two queues of 20 bytes an instruction, and threads of some 48 bytes. Small ones
	// need no account: 4,096 of them take 46 MB.
	switch {
	case size > 512:
		m.memory = 2048 * (2*20 + 48)
	case size > 128:
		m.memory = 512 * (2*20 + 48)
	}
	return m, nil
}

// find looks for the expression. doing is what was under way when an error ended it.
func (m *bodyMatch) find(ctx context.Context, body io.Reader, buffered *bufio.Reader) (found bool, doing string, err error) {
	const reading, matching = "while reading the response body", "while matching the response body"
	if m.literal != nil {
		buffered.Reset(body)
		found, err = findLiteral(buffered, m.literal)
		return found, reading, err
	}
	if matchMemory.Add(m.memory) > maxMatching && m.memory > 0 {
		matchMemory.Add(-m.memory)
		return false, matching, errMatchMemory
	}
	defer matchMemory.Add(-m.memory)
	s := &runeStream{ctx: ctx, source: body, buffered: buffered, stride: m.stride, resumed: time.Now()}
	defer s.pass()
	buffered.Reset(s)
	found = m.expression.MatchReader(s)
	switch {
	case s.late != nil && s.waited > s.worked:
		return false, matching, errLongWork
	case s.late != nil:
		return false, matching, s.late
	case s.ended != nil && s.ended != io.EOF:
		return false, reading, s.ended
	}
	return found, reading, nil
}

func findLiteral(r *bufio.Reader, literal []byte) (bool, error) {
	for {
		text, err := r.Peek(r.Size())
		found := bytes.Contains(text, literal)
		if errors.Is(err, io.EOF) {
			return found, nil
		}
		if found || err != nil {
			return found, err
		}
		_, _ = r.Discard(len(text) - len(literal) + 1)
	}
}

// runeStream feeds a match with runes, and holds it to its time: a match cannot be interrupted but here.
type runeStream struct {
	ctx      context.Context
	source   io.Reader
	buffered *bufio.Reader // of what Read reads
	stride   int
	steps    int       // until the next look at the clock
	resumed  time.Time // since when it has worked
	turn     bool      // holds longWork
	worked   time.Duration
	waited   time.Duration // for the turn
	ended    error         // of the source
	late     error         // of the context
}

// ReadRune implements io.RuneReader.
func (s *runeStream) ReadRune() (rune, int, error) {
	if s.steps--; s.steps < 0 {
		s.steps = s.stride
		if s.late = s.pace(); s.late != nil {
			return 0, 0, s.late
		}
	}
	r, n, err := s.buffered.ReadRune()
	if err != nil {
		s.ended = err
	}
	return r, n, err
}

// Read reads from the source, which may take long. That is not work: other checks have the turn meanwhile.
func (s *runeStream) Read(b []byte) (int, error) {
	s.pass()
	n, err := s.source.Read(b)
	s.resumed, s.steps = time.Now(), 0
	return n, err
}

// pace returns when the match may go on: at once while it has not worked long.
func (s *runeStream) pace() error {
	if err := s.ctx.Err(); err != nil {
		return err
	}
	stretch := time.Since(s.resumed)
	switch {
	case s.turn && stretch < workSlice, !s.turn && s.worked+stretch < allowance:
		return nil
	case s.turn:
		longWork.rest(stretch)
	}
	s.pass()
	began := time.Now()
	err := longWork.take(s.ctx)
	s.turn = err == nil
	s.resumed = time.Now()
	s.waited += s.resumed.Sub(began)
	return err
}

// pass ends a stretch of work, and releases the turn.
func (s *runeStream) pass() {
	s.worked += time.Since(s.resumed)
	if s.turn {
		longWork.pass()
		s.turn = false
	}
}
