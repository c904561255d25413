package config

import (
	"bytes"
	"unicode"
	"unicode/utf8"
)

// isHeader reports whether a byte may occur in the header of a block, before its bracket.
func isHeader(c byte) bool {
	return c == ' ' || c == '\t' || c == '"' || c == '{' || isWord(c) || c == '-' || '0' <= c && c <= '9'
}

func isWord(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' || c >= utf8.RuneSelf
}

// sign scans an operator, or an invalid character.
func (s *scanner) sign(c byte, rest []byte) {
	switch c {
	case '\'':
		s.fault(1, "Single quote", `Strings use double quotes, as in "text".`)
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

// skipSingleQuoted skips a text in single quotes, so that it causes one error.
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

// invalid reports an invalid character; consecutive ones are reported once.
func (s *scanner) invalid(length int) {
	s.fault(length, "Invalid character", "%q has no meaning here. Remove it, or put the string in double quotes.", s.text[s.at:s.at+length])
	for s.at < len(s.text) && s.text[s.at] != '\n' {
		s.at++
	}
	s.tokens++
}

// word scans an identifier. Letters of all alphabets are accepted here; HCL's parser is stricter.
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
		s.badCharacter()
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

// badCharacter reports a character that is not a letter.
func (s *scanner) badCharacter() {
	r, size := utf8.DecodeRune(s.text[s.at:])
	switch {
	case r == utf8.RuneError && size < 2:
		s.fault(1, "Not UTF-8", "The byte %#02x is not valid UTF-8. Save the file as UTF-8.", s.text[s.at])
		s.overlong = true
	case unicode.IsSpace(r):
		s.fault(size, "Invalid space", "This is not a plain space but %U, as word processors insert it. Write a plain space.", r)
		s.token(size)
	default:
		s.fault(size, "Typographic quote", "%c is not a quote here. Write plain double quotes: \"text\".", r)
		s.token(size)
	}
}

// number scans a number, and rejects those that would be expanded to very many digits.
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

// lines counts the lines between two positions.
func (s *scanner) lines(from, to int) {
	if n := bytes.Count(s.text[from:to], []byte{'\n'}); n > 0 {
		s.line += n
		s.bol = from + bytes.LastIndexByte(s.text[from:to], '\n') + 1
	}
}

// isTopLevel reports whether a word is the type of a block that occurs only at the top level.
func isTopLevel(word []byte) bool {
	switch string(word) {
	case "director", "locals", "node", "sysctl", "timeouts", "variable", "virtual_service", "vrrp":
		return true
	}
	return false
}
