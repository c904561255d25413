package migrate

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"strings"

	"github.com/lvs-ha/lvs-ha/internal/ipvsadm"
	"github.com/lvs-ha/lvs-ha/ipvs"
)

// byteOrderMark is written at the start of files by some editors.
const byteOrderMark = "\ufeff"

// maxLine limits a rule, in bytes. The longest that ipvsadm writes has about 200.
const maxLine = 64 << 10

// maxErrors limits the reported lines: an unrelated file has many invalid ones.
const maxErrors = 20

// maxShown limits the excerpt of an invalid line, in characters.
const maxShown = 120

// readRules applies rules to an in-memory table line by line, as `ipvsadm -R` does to the kernel's. It skips empty
// lines, comments and shell commands. The error lists the invalid lines.
func readRules(ctx context.Context, r io.Reader, names ipvsadm.Names) (*memory, error) {
	m := &memory{at: map[ipvs.ServiceKey]*service{}}
	var errs []error
	rules, wrong := 0, 0
	input := bufio.NewScanner(r)
	input.Buffer(nil, maxLine)
	number := 0
	for input.Scan() {
		number++
		m.now = line{number, withoutComment(strings.TrimPrefix(input.Text(), byteOrderMark))}
		for strings.HasSuffix(m.now.text, `\`) && input.Scan() {
			number++
			m.now.text = strings.TrimSuffix(m.now.text, `\`) + withoutComment(input.Text())
		}
		if m.now.text == "" {
			continue
		}
		rules++
		if err := m.carryOut(ctx, names); err != nil {
			if wrong++; wrong <= maxErrors {
				errs = append(errs, err)
			}
		}
	}
	if wrong > maxErrors {
		errs = append(errs, fmt.Errorf("%d more lines are invalid", wrong-maxErrors))
	}
	switch err := input.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		errs = append(errs, fmt.Errorf("line %d: longer than %d bytes: not an ipvsadm rule", number+1, maxLine))
	case err != nil:
		errs = append(errs, fmt.Errorf("line %d: reading the rules: %w", number+1, err))
	case rules == 0:
		errs = append(errs, errors.New("no rules found: `ipvsadm -S -n` as root prints those of the kernel"))
	}
	return m, errors.Join(errs...)
}

// comment is a shell comment.
var comment = regexp.MustCompile(`(^|\s)#.*`)

// withoutComment returns a line without comment, surrounding space and tabs.
func withoutComment(text string) string {
	return strings.TrimSpace(strings.ReplaceAll(comment.ReplaceAllLiteralString(text, ""), "\t", " "))
}

// rule returns the part of a line that `ipvsadm -R` would parse, without the program's path, which -R does not accept.
func rule(text string) string {
	program, rest, _ := strings.Cut(text, " ")
	if path.Base(program) != "ipvsadm" {
		return text
	}
	return rest
}

// shellCharacters have a meaning only in a shell. No valid rule contains one.
const shellCharacters = "$`\"';|&<>"

// carryOut applies the current line.
func (m *memory) carryOut(ctx context.Context, names ipvsadm.Names) error {
	if strings.ContainsAny(m.now.text, shellCharacters) {
		return m.wrong("it needs a shell: run the script, then import the output of `ipvsadm -S -n`")
	}
	var stdout, stderr bytes.Buffer
	status := ipvsadm.Rule(ctx, rule(m.now.text), ipvsadm.Environment{
		Stdout: &stdout, Stderr: &stderr,
		Open:        m.kernel,
		Connections: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("")), nil },
		Names:       names,
	})
	switch {
	case status != 0:
		return m.wrong(explainRule(stderr.String()))
	case stdout.Len() > 0:
		m.reportLost("it only prints something")
	}
	return nil
}

// wrong returns an error for the current line.
func (m *memory) wrong(why string) error {
	shown := []rune(printable(m.now.text))
	if len(shown) > maxShown {
		shown = append(shown[:maxShown], '…')
	}
	return fmt.Errorf("line %d: %s: %s", m.now.number, why, string(shown))
}

// explainRule rewrites ipvsadm's errors for a file of rules.
func explainRule(said string) string {
	said, _, _ = strings.Cut(strings.TrimSpace(said), "\n")
	switch {
	case strings.HasPrefix(said, "Try "):
		return "not an ipvsadm rule: want -A or -a with options"
	case strings.HasPrefix(said, "illegal virtual server address"), strings.HasPrefix(said, "illegal real server address"):
		return said + " (names must resolve on this host; `ipvsadm -S -n` prints numbers)"
	}
	return said
}
