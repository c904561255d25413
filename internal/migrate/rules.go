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

// byteOrderMark is what some editors put before a text.
const byteOrderMark = "\ufeff"

// maxLine bounds a line of rules, in bytes. The longest that ipvsadm writes has some 200.
const maxLine = 64 << 10

// maxErrors bounds how many wrong lines are named: a file that is none of rules has many.
const maxErrors = 20

// maxShown bounds what is shown of a wrong line, in characters.
const maxShown = 120

// readRules carries out rules on a table in memory, line by line, as `ipvsadm -R` would on the kernel's. Empty lines and
// comments are passed over, and what a shell script has beside its rules. The error names the lines that are wrong.
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

// comment is what a shell passes over.
var comment = regexp.MustCompile(`(^|\s)#.*`)

// withoutComment returns a line without a comment, without space around it and without tabs.
func withoutComment(text string) string {
	return strings.TrimSpace(strings.ReplaceAll(comment.ReplaceAllLiteralString(text, ""), "\t", " "))
}

// rule returns what `ipvsadm -R` reads of a line: without the program's path, which it does not pass over.
func rule(text string) string {
	program, rest, _ := strings.Cut(text, " ")
	if path.Base(program) != "ipvsadm" {
		return text
	}
	return rest
}

// shellCharacters mean something to a shell only. No rule that -R takes has one.
const shellCharacters = "$`\"';|&<>"

// carryOut does what the line of now says.
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
		return m.wrong(plainly(stderr.String()))
	case stdout.Len() > 0:
		m.lose("it only prints something")
	}
	return nil
}

// wrong returns the error of the line of now.
func (m *memory) wrong(why string) error {
	shown := []rune(printable(m.now.text))
	if len(shown) > maxShown {
		shown = append(shown[:maxShown], '…')
	}
	return fmt.Errorf("line %d: %s: %s", m.now.number, why, string(shown))
}

// plainly turns what ipvsadm says into what helps with a file of rules.
func plainly(said string) string {
	said, _, _ = strings.Cut(strings.TrimSpace(said), "\n")
	switch {
	case strings.HasPrefix(said, "Try "):
		return "not an ipvsadm rule: want -A or -a with options"
	case strings.HasPrefix(said, "illegal virtual server address"), strings.HasPrefix(said, "illegal real server address"):
		return said + " (names must resolve on this host; `ipvsadm -S -n` prints numbers)"
	}
	return said
}
