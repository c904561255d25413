package config

import (
	"bytes"
	"io"

	"github.com/hashicorp/hcl/v2"
)

// Formatted is a file and its text in the canonical layout.
type Formatted struct {
	Name            string
	Text, Canonical []byte
}

// Changed reports whether the file is in another layout.
func (f Formatted) Changed() bool { return !bytes.Equal(f.Text, f.Canonical) }

// Format reads the file at path, or the *.hcl files of the directory at path, and returns their texts in the canonical
// layout. It checks only the syntax.
func Format(path string) ([]Formatted, *Diagnostics) {
	return format(func(s *source) hcl.Diagnostics {
		names, err := s.disk.configFiles(path)
		if err != nil {
			return hcl.Diagnostics{problem(hcl.Range{}, "Cannot read the configuration", "%s.", err)}
		}
		return s.readFiles(names)
	})
}

// FormatInput is Format for a text that is not in a file; name is its name in messages.
func FormatInput(name string, input io.Reader) ([]Formatted, *Diagnostics) {
	return format(func(s *source) hcl.Diagnostics {
		text, err := io.ReadAll(io.LimitReader(input, maxBytes+1))
		if err == nil && len(text) > maxBytes {
			err = tooLong(name)
		}
		if err != nil {
			return hcl.Diagnostics{problem(hcl.Range{}, "Cannot read the configuration", "%s.", err)}
		}
		return s.add(name, text)
	})
}

func format(read func(*source) hcl.Diagnostics) ([]Formatted, *Diagnostics) {
	defer limitMemory()()
	l := newLoader(Options{})
	l.diags = read(&l.source)
	var result []Formatted
	for _, file := range l.source.order {
		if l.diags.HasErrors() {
			break
		}
		if _, l.diags = parseText(file.text, file.name, hcl.InitialPos); l.diags.HasErrors() {
			if foreign := explainForeign(file.name, file.text); foreign != nil {
				l.diags = foreign
			}
		}
		if l.diags.HasErrors() {
			break
		}
		lines := arrange(file.text)
		if lines.size() > maxBytes {
			l.diags = hcl.Diagnostics{problem(hcl.Range{}, "Cannot format the configuration",
				"%s: aligned, it would be larger than %d MiB: a line is too long for a comment after it.", file.name, maxBytes>>20)}
			break
		}
		result = append(result, Formatted{file.name, file.text, lines.text()})
	}
	diags := &Diagnostics{list: tidy(l.explain(l.diags, l.context)), sources: l.source.files, isSyntax: true}
	if diags.HasErrors() {
		return nil, diags
	}
	return result, diags
}
