package keepalived

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
)

// Position is a place in a configuration file.
type Position struct {
	File string
	Line int // from 1
}

func (p Position) String() string { return fmt.Sprintf("%s:%d", p.File, p.Line) }

// Files is where configurations and what they include are read from.
type Files interface {
	// Read returns a file's content.
	Read(path string) ([]byte, error)
	// Glob returns the sorted paths that match a pattern of glob(3) with braces.
	Glob(pattern string) ([]string, error)
}

const (
	maxLine     = 1023 // bytes; keepalived ignores longer lines
	maxIncludes = 64   // nested files
)

// physical is a line as it stands in a file.
type physical struct {
	Position
	text    string // without comment and surrounding blanks; a final backslash stays
	comment string // without its mark
	blank   bool   // nothing at all was on the line
}

// source returns the lines of a file and, where it includes others, theirs.
type source struct {
	files  Files
	report func(Problem)
	opened func(path string)
	open   []openFile
}

type openFile struct {
	path string
	rest []byte
	line int
}

func (s *source) include(path string) error {
	if len(s.open) >= maxIncludes {
		return fmt.Errorf("%d files include one another", maxIncludes)
	}
	data, err := s.files.Read(path)
	if err != nil {
		var p *fs.PathError
		if errors.As(err, &p) {
			err = p.Err
		}
		return err
	}
	s.open = append(s.open, openFile{path: path, rest: data})
	s.opened(path)
	return nil
}

// directory returns the directory that relative includes refer to.
func (s *source) directory() string {
	if len(s.open) == 0 {
		return "."
	}
	return filepath.Dir(s.open[len(s.open)-1].path)
}

// next returns the next line. It returns false at the end of the last file.
func (s *source) next() (physical, bool) {
	for len(s.open) > 0 {
		f := &s.open[len(s.open)-1]
		if len(f.rest) == 0 {
			s.open = s.open[:len(s.open)-1]
			continue
		}
		line, rest, _ := bytes.Cut(f.rest, []byte{'\n'})
		f.rest = rest
		f.line++
		at := Position{f.path, f.line}
		switch {
		case len(line) > maxLine:
			s.report(Problem{Position: at, Code: LineTooLong, Subject: fmt.Sprintf("%d bytes", len(line))})
			continue
		case bytes.IndexByte(line, 0) >= 0:
			s.report(Problem{Position: at, Code: NULByte})
			continue
		}
		text := strings.TrimRight(string(line), "\r")
		code, comment, unterminated := decomment(text)
		if unterminated {
			s.report(Problem{Position: at, Code: UnmatchedQuote, Subject: code})
		}
		return physical{Position: at, text: code, comment: comment, blank: strings.Trim(text, " \t") == ""}, true
	}
	return physical{}, false
}

// decomment splits a line into its text and its comment. As in keepalived, `\#` and `\!` outside of quotes stand for the
// character, and a final backslash continues a definition.
func decomment(line string) (text, comment string, unterminated bool) {
	line = strings.TrimLeft(line, " \t")
	var b strings.Builder
	quoted, continued := false, false
scan:
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case c == '"':
			quoted = !quoted
		case c == '\\' && i+1 == len(line):
			continued = true
			break scan
		case c == '\\':
			i++
			if quoted || line[i] != '#' && line[i] != '!' {
				b.WriteByte(c)
			}
			c = line[i]
		case !quoted && (c == '!' || c == '#'):
			comment = strings.TrimRight(strings.TrimLeft(line[i:], "#!"), whitespace)
			if comment = strings.TrimPrefix(comment, " "); i > 0 {
				comment = strings.TrimLeft(comment, whitespace)
			}
			break scan
		}
		b.WriteByte(c)
	}
	text = strings.TrimRight(b.String(), " \t")
	if continued {
		text += `\`
	}
	return text, comment, quoted
}
