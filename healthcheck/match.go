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

// bodyMatch finds a regular expression in a body while reading it. It keeps only a buffer of the body.
type bodyMatch struct {
	literal    []byte         // the expression, if it is plain text
	expression *regexp.Regexp // otherwise
	stride     int            // runes between two readings of the clock
	memory     int64          // bytes of a match in progress, for a large expression

	first, last int // bytes of the body that are skipped, and where a match may begin at most; 0: anywhere
}

// Limits for all matches of this process together. Checks that match plain text, or small bodies, do not reach them.
const (
	allowance   = 500 * time.Microsecond // work that each match may do without a turn
	workSlice   = time.Millisecond       // work per turn after that
	maxMatching = 32 << 20               // bytes for matches of large expressions
)

// matchMemory is the memory in use by matches of large expressions, in bytes.
var matchMemory atomic.Int64

var errMatchMemory = shortage("too many large regular expressions are being matched at a time; write simpler ones")

func newBodyMatch(expression string) (*bodyMatch, error) {
	parsed, err := syntax.Parse(expression, syntax.Perl)
	if err != nil {
		return nil, err
	}
	// Bytes that are not UTF-8 are read as U+FFFD in a match.
	if parsed.Op == syntax.OpLiteral && parsed.Flags&syntax.FoldCase == 0 && !slices.Contains(parsed.Rune, utf8.RuneError) {
		return &bodyMatch{literal: []byte(string(parsed.Rune))}, nil
	}
	compiled, err := regexp.Compile(expression)
	if err != nil {
		return nil, err
	}
	size := programSize(parsed)
	m := &bodyMatch{expression: compiled, stride: max(1, 4096/size)}
	// As allocated by package regexp: two queues of 20 bytes per instruction, and threads of about 48 bytes. Small programs
	// need no accounting: 4,096 of them take 46 MB.
	switch {
	case size > 512:
		m.memory = 2048 * (2*20 + 48)
	case size > 128:
		m.memory = 512 * (2*20 + 48)
	}
	return m, nil
}

// find searches for the expression. doing is what was in progress when an error occurred.
func (m *bodyMatch) find(ctx context.Context, body io.Reader, buffered *bufio.Reader) (found bool, doing string, err error) {
	const reading, matching = "while reading the response body", "while matching the response body"
	if m.literal != nil {
		if m.last > 0 {
			body = io.LimitReader(body, int64(m.last+len(m.literal)))
		}
		buffered.Reset(body)
		if short, err := m.skip(buffered); short || err != nil {
			return false, reading, err
		}
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
	if short, err := m.skip(buffered); short || err != nil {
		return false, reading, err
	}
	found = m.matches(s)
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

// skip discards what is not searched, and reports whether the body is shorter.
func (m *bodyMatch) skip(r *bufio.Reader) (short bool, err error) {
	if _, err = r.Discard(m.first); errors.Is(err, io.EOF) {
		return true, nil
	}
	return false, err
}

// matches reports whether the expression matches where a match may begin.
func (m *bodyMatch) matches(r io.RuneReader) bool {
	if m.last == 0 {
		return m.expression.MatchReader(r)
	}
	at := m.expression.FindReaderIndex(r) // the first match
	return at != nil && m.first+at[0] <= m.last
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

// runeStream supplies a match with runes and enforces its time limits: a match can only be interrupted here.
type runeStream struct {
	ctx      context.Context
	source   io.Reader
	buffered *bufio.Reader // buffers Read
	stride   int
	steps    int       // until the next reading of the clock
	resumed  time.Time // start of the current stretch of work
	turn     bool      // holds longWork
	worked   time.Duration
	waited   time.Duration // time spent waiting for the turn
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

// Read reads from the source, which may block. That does not count as work: the turn is released for other checks.
func (s *runeStream) Read(b []byte) (int, error) {
	s.pass()
	n, err := s.source.Read(b)
	s.resumed, s.steps = time.Now(), 0
	return n, err
}

// pace returns when the match may continue; immediately if it has not worked long.
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

// pass ends a stretch of work and releases the turn.
func (s *runeStream) pass() {
	s.worked += time.Since(s.resumed)
	if s.turn {
		longWork.pass()
		s.turn = false
	}
}
