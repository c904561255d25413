package config

import (
	"bytes"
	"regexp"
	"unicode/utf8"
)

// quoted scans within a quoted text.
func (s *scanner) quoted() {
	begin := s.at
	for s.at < len(s.text) && len(s.faults) < maxFaults && !s.overlong {
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
			s.countJoin(s.at - begin)
			s.at++
		case c >= utf8.RuneSelf:
			_, size := utf8.DecodeRune(rest)
			if size < 2 {
				s.badCharacter()
				return
			}
			s.at += size
		default:
			s.at++
		}
		if s.at-begin > 1<<16 { // HCL treats a long text as one token, but its cost depends on its bytes
			s.tokens++
			begin = s.at
		}
	}
}

// template handles the start of an interpolation or a directive.
func (s *scanner) template(rest []byte) {
	length := 2
	if len(rest) > 2 && rest[2] == '~' {
		length = 3
	}
	if rest[0] == '%' { // the directives of a text are nested
		s.deeper()
	}
	s.push('$', length)
}

// escape handles a backslash in a text and the following characters.
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
			s.fault(2, "Invalid escape", "\\%c must be followed by %d hexadecimal digits, as in \\u00e9.", rest[1], digits)
			s.at += 2
			return
		}
	}
	if digits == 0 {
		r, size := utf8.DecodeRune(rest[1:])
		s.fault(1+size, "Invalid escape", "\\%c is not an escape sequence. Write \\\\%c for a backslash.", r, r)
		s.at += 1 + size
		return
	}
	s.at += 2 + digits
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

// unclosedQuote returns the single error for a text that is not closed on its line.
func (s *scanner) unclosedQuote(o opened) {
	end := o.at + 1
	for end < len(s.text) && s.text[end] != '\n' && s.text[end] != '\r' {
		end++
	}
	s.faults = append(s.faults, problem(s.rangeAt(o.at, o.line, o.bol, end-o.at), "Unclosed quote",
		`This string has no closing quote on its line. Write " where it ends.`))
}

// heredoc scans within a text of several lines.
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
		s.countJoin(s.at - o.at)
		if s.overlong {
			return
		}
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

// countJoin counts the bytes that HCL's parser copies to join the lines of a text: each line with all previous ones.
func (s *scanner) countJoin(before int) {
	if s.joinedBytes += before + 16; s.joinedBytes > maxJoined && !s.overlong {
		s.overlong = true
		s.fault(0, "Heredoc too long", "A heredoc of so many lines takes too much time to read. Use local values for its content.")
	}
}

// heredocStart handles the start of a text of several lines.
var heredocStart = regexp.MustCompile(`^<<-?[\pL_][\pL\pN\pM_-]*\r?\n`)

// startHeredoc starts a text of several lines, whose first line follows.
func (s *scanner) startHeredoc() {
	end := bytes.IndexByte(s.text[s.at:], '\n')
	marker := bytes.TrimPrefix(s.text[s.at+2:s.at+end], []byte("-"))
	s.push('<', end+1)
	s.stack[len(s.stack)-1].marker = bytes.TrimSuffix(marker, []byte("\r"))
	s.line++
	s.bol = s.at
}
