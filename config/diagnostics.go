package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// Diagnostics are the problems of a configuration, in the order of its files and lines, with what is needed to print
// them with their source.
type Diagnostics struct {
	list    hcl.Diagnostics
	sources map[string]*hcl.File
	secrets secrets
}

// HasErrors reports whether the configuration cannot be used.
func (d *Diagnostics) HasErrors() bool { return d.list.HasErrors() }

// Write prints every problem with file, line and snippet. Secrets in them are starred out.
func (d *Diagnostics) Write(w io.Writer, color bool) error {
	var text bytes.Buffer
	printer := hcl.NewDiagnosticTextWriter(&text, d.secrets.maskSources(d.sources), 0, color)
	for _, diag := range d.list {
		if err := printer.WriteDiagnostic(diag); err != nil {
			return fmt.Errorf("printing a problem of the configuration: %w", err)
		}
	}
	if _, err := io.WriteString(w, d.secrets.mask(text.String())); err != nil {
		return fmt.Errorf("printing the problems of the configuration: %w", err)
	}
	return nil
}

// Err returns the errors as one error of a line each, without snippets, or nil when there is none.
func (d *Diagnostics) Err() error {
	var lines []string
	for _, diag := range d.list {
		if diag.Severity == hcl.DiagError {
			lines = append(lines, d.secrets.mask(oneLine(diag)))
		}
	}
	if len(lines) == 0 {
		return nil
	}
	return errors.New(strings.Join(lines, "\n"))
}

// oneLine prints a problem as "file:line: summary. Detail".
func oneLine(diag *hcl.Diagnostic) string {
	text := strings.Join(strings.Fields(diag.Summary+". "+diag.Detail), " ")
	if diag.Subject == nil {
		return text
	}
	return fmt.Sprintf("%s:%d: %s", diag.Subject.Filename, diag.Subject.Start.Line, text)
}

// tidy sorts problems by place and removes repetitions, which a problem in a dynamic block makes many of.
func tidy(list hcl.Diagnostics) hcl.Diagnostics {
	slices.SortStableFunc(list, func(a, b *hcl.Diagnostic) int {
		return cmp.Or(
			cmp.Compare(place(a).Filename, place(b).Filename),
			cmp.Compare(place(a).Start.Byte, place(b).Start.Byte),
			cmp.Compare(a.Summary, b.Summary),
			cmp.Compare(a.Detail, b.Detail),
		)
	})
	return slices.CompactFunc(list, func(a, b *hcl.Diagnostic) bool {
		return a.Severity == b.Severity && place(a) == place(b) && a.Summary == b.Summary && a.Detail == b.Detail
	})
}

func place(diag *hcl.Diagnostic) hcl.Range {
	if diag.Subject == nil {
		return hcl.Range{}
	}
	return *diag.Subject
}

// problem is an error at a place in the configuration.
func problem(at hcl.Range, summary, detail string, args ...any) *hcl.Diagnostic {
	diag := &hcl.Diagnostic{Severity: hcl.DiagError, Summary: summary, Detail: fmt.Sprintf(detail, args...)}
	if at.Filename != "" {
		diag.Subject = &at
	}
	return diag
}

// warning is a problem that does not keep the configuration from being used.
func warning(at hcl.Range, summary, detail string, args ...any) *hcl.Diagnostic {
	diag := problem(at, summary, detail, args...)
	diag.Severity = hcl.DiagWarning
	return diag
}
