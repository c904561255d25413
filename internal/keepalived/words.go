package keepalived

import "strings"

// whitespace separates words. A non-breaking space is not part of it.
const whitespace = " \t\f\n\r\v"

// split returns the words of a line: separated by whitespace, or enclosed in double quotes, without escapes. After an
// unmatched quote the words so far are returned, and false.
func split(line string) (words []string, ok bool) {
	for {
		line = strings.TrimLeft(line, whitespace)
		if line == "" {
			return words, true
		}
		if line[0] == '"' {
			word, rest, closed := strings.Cut(line[1:], `"`)
			if !closed {
				return words, false
			}
			words, line = append(words, word), rest
			continue
		}
		end := strings.IndexAny(line, whitespace+`"`)
		if end < 0 {
			end = len(line)
		}
		words, line = append(words, line[:end]), line[end:]
	}
}

// Script is the command of a line such as notify_master or script.
type Script struct {
	Command []string // empty: there is none
	Rest    []string // the words after it: for a notify line a user and a group
}

// ParseScript parses a line with a command. Only the first word after the keyword is the command, so that a command with
// arguments needs quotes; it is then split again, with escapes. It returns false for an unmatched quote or a backslash at the
// end: keepalived then ignores the line.
func ParseScript(line string) (Script, bool) {
	words, ok := quotedWords(line, false)
	if !ok || len(words) < 2 {
		return Script{}, ok
	}
	command, ok := quotedWords(words[1], true)
	return Script{Command: command, Rest: words[2:]}, ok
}

// quotedWords splits a line at whitespace outside of quotes. Quotes of both kinds may stand anywhere in a word. A backslash
// escapes the next character or, with escapes, stands for a special one; without, it stays.
func quotedWords(line string, escapes bool) (words []string, ok bool) {
	for {
		line = strings.TrimLeft(line, whitespace)
		if line == "" {
			return words, true
		}
		var word string
		if word, line, ok = quotedWord(line, escapes); !ok {
			return nil, false
		}
		words = append(words, word)
	}
}

func quotedWord(line string, escapes bool) (word, rest string, ok bool) {
	var b strings.Builder
	quote := byte(0)
	for line != "" {
		c := line[0]
		switch {
		case c == '\\' && !escapes:
			if len(line) < 2 {
				return "", "", false
			}
			b.WriteString(line[:2])
			line = line[2:]
			continue
		case c == '\\':
			char, after, ok := escape(line[1:])
			if !ok {
				return "", "", false
			}
			b.WriteByte(char)
			line = after
			continue
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case quote == 0 && strings.IndexByte(whitespace, c) >= 0:
			return b.String(), line, true
		default:
			b.WriteByte(c)
		}
		line = line[1:]
	}
	return b.String(), "", quote == 0
}

var controls = map[byte]byte{'a': '\a', 'b': '\b', 'E': 0x1b, 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t', 'v': '\v'}

// escape decodes what follows a backslash: \xHH, \cX, \OOO, or one character.
func escape(s string) (char byte, rest string, ok bool) {
	if s == "" {
		return 0, "", false
	}
	switch c := s[0]; {
	case c == 'x' && len(s) > 1 && digit(s[1], 16) >= 0:
		return digits(s[1:], 16, 2)
	case c == 'c' && len(s) > 1:
		return s[1] & 0x1f, s[2:], true
	case digit(c, 8) >= 0:
		return digits(s, 8, 3)
	default:
		if control, is := controls[c]; is {
			c = control
		}
		return c, s[1:], true
	}
}

func digits(s string, base, most int) (char byte, rest string, ok bool) {
	n := 0
	for most > 0 && s != "" && digit(s[0], base) >= 0 {
		n, s, most = n*base+digit(s[0], base), s[1:], most-1
	}
	return byte(n), s, true
}

// digit returns the value of a digit, or −1.
func digit(c byte, base int) int {
	n := strings.IndexByte("0123456789abcdef", c|0x20*b2i(c >= 'A'))
	if n >= base {
		return -1
	}
	return n
}

func b2i(b bool) byte {
	if b {
		return 1
	}
	return 0
}
